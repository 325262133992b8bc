"""Draw what a search found: `python analysis/search_results.py results/inertia_search_quick`."""

from dd_ray.figures.search_results import main

if __name__ == "__main__":
    main()
