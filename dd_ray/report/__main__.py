"""`python -m dd_ray.report PATH`."""

from dd_ray.report.command import main

if __name__ == "__main__":
    main()
