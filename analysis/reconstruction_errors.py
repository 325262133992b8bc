"""Draw where reconstructions fail: `python analysis/reconstruction_errors.py results/beta_grid_quick`."""

from dd_ray.figures.reconstruction_errors import main

if __name__ == "__main__":
    main()
