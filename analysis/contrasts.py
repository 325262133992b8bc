"""Draw what fresh seeds say of chosen cells: `python analysis/contrasts.py results/inertia_grid_quick_confirmed`."""

from dd_ray.figures.contrasts import main

if __name__ == "__main__":
    main()
