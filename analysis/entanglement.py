"""Draw which latent follows which factor.

python analysis/entanglement.py results/beta_grid_quick --cells best:linear_r2
"""

from dd_ray.figures.entanglement import main

if __name__ == "__main__":
    main()
