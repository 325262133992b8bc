"""One trial, from its stored state to its next evaluation. No Ray.

run            training, evaluating and recording, in that order
trainer        what `run` needs of whoever trains the network
local_trainer  this process trains it
pack           a process that trains many as one stack
member         one trial's network in a stack, as both of them train it
board          its TensorBoard run
states         its stored states
gpu_memory     whether a pack fits on its GPU
scoring        further scores for trials that have ended
"""
