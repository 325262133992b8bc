"""Draw the errors of held-out and of seen data: `python analysis/generalisation.py results/generalisation_quick`."""

from dd_ray.figures.generalisation import main

if __name__ == "__main__":
    main()
