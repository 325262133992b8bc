"""How figures are drawn.

common  the field's symbols and words, colours that tell settings apart, axes, writing, and a script's `main`
maps    a metric's cells as a panel of a map
sheets  pictures beside each other, and animations
lag     the lag of networks
"""
