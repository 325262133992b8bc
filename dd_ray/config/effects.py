"""Which fields have an effect beside which others.

A field that has none is refused in a single config; in a grid where it has one elsewhere, it takes its default.
"""

from collections.abc import Mapping
from typing import Any

from dd_ray.config.datasets import DATASET_INFO, OPTIONS_OF_DATASETS

Need = Mapping[str, tuple[Any, ...]]
"""Values of other fields that a field needs to have an effect; where several fields are named, of one of them."""


def _on_datasets_with(option: str) -> Need:
    return {"dataset": tuple(name for name, info in DATASET_INFO.items() if option in info.options)}


_SCHEDULES = ("beta_schedule", "gamma_schedule", "lam_schedule")
_RISING = ("linear", "cyclic", "cosine")
_VAE: Need = {"model": ("beta_vae", "predictive_vae", "inertia_vae")}
_VIDEO_VAE: Need = {"model": ("predictive_vae", "inertia_vae")}
_INERTIA_VAE: Need = {"model": ("inertia_vae",)}
_SAMPLING: Need = {"stochastic": (True,)}
_BETA = (_VAE, _SAMPLING, {"objective": ("beta", "tcvae", "slowness")})
_CAPACITY = (_VAE, {"objective": ("capacity",)})
_TCVAE = (_VAE, {"objective": ("tcvae",)})
_SLOWNESS = (_VAE, {"objective": ("slowness",)})
# The original's inertia model had no λ, and the penalty of its other one predicts nothing.
_LAMBDA = (_VIDEO_VAE, {"compat": ("none",), "model": ("predictive_vae",)})
_ALPHA = (_VIDEO_VAE, {"compat": ("none",), "model": ("inertia_vae",)})

NEEDS: dict[str, tuple[Need, ...]] = {
    **dict.fromkeys(("beta", "beta_norm", "beta_schedule"), _BETA),
    **dict.fromkeys(("num_latents", "stochastic", "likelihood"), (_VAE,)),
    **dict.fromkeys(("gamma", "delay", "decode"), (_INERTIA_VAE,)),
    "gamma_schedule": (_INERTIA_VAE, {"compat": ("none",)}),  # whose γ is 0.75 with the other
    "compat": (_VIDEO_VAE,),
    **dict.fromkeys(("lam", "lam_schedule"), _LAMBDA),
    **dict.fromkeys(("alpha", "learn_alpha"), _ALPHA),
    "objective": (_VAE, _SAMPLING),
    **dict.fromkeys(("capacity_max", "capacity_weight", "capacity_schedule"), _CAPACITY),
    "capacity_iterations": (*_CAPACITY, {"capacity_schedule": _RISING}),
    **dict.fromkeys(("tc_sampling", "tc_num_data"), _TCVAE),
    **dict.fromkeys(("slowness_weight", "slowness_rate"), _SLOWNESS),
    "schedule_iterations": (_VAE, dict.fromkeys(_SCHEDULES, _RISING)),
    "schedule_cycles": (_VAE, dict.fromkeys((*_SCHEDULES, "capacity_schedule"), ("cyclic",))),
    **{name: (_on_datasets_with(name),) for name in sorted(OPTIONS_OF_DATASETS)},
    "motion": (_on_datasets_with("motion"), {"moves": ("position",)}),
    "train_share": ({"split": ("samples", "levels")},),
}
"""For each field that has no effect beside some values of others: what it needs, all of it."""

DECIDING = {name for needs in NEEDS.values() for need in needs for name in need}
"""Fields that decide whether others have an effect."""


def has_effect(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a field has an effect beside the values of all fields, themselves such as a config may have."""
    return _unmet(name, values) is None


def takes(model: str, name: str) -> bool:
    """Whether a field has an effect on a model, beside some values of the other fields."""
    return all(model in need["model"] for need in NEEDS.get(name, ()) if need.keys() == {"model"})


def refusal(name: str, values: Mapping[str, Any], default: Any) -> str | None:
    """What is wrong with a field's value, where it has no effect, as a sentence."""
    need = _unmet(name, values)
    if need is None:
        return None
    others = {field: (values[field],) for field in need}
    given = f"on {values[next(iter(need))]}" if _are_names(need) else f"with {_text(others, ' and ')}"
    instead = "leave it out" if default is None else f"give {default}"
    needed = " or ".join(next(iter(need.values()))) if _are_names(need) else _text(need, " or ")
    return f"{name} = {values[name]} has no effect {given}; {instead}, or use {needed}."


def _unmet(name: str, values: Mapping[str, Any]) -> Need | None:
    for need in NEEDS.get(name, ()):
        if not any(values[field] in choices for field, choices in need.items()):
            return need
    return None


def _are_names(need: Need) -> bool:
    """Whether the values speak for themselves, as those of models and datasets do."""
    return len(need) == 1 and not need.keys().isdisjoint(("model", "dataset"))


def _text(need: Need, joint: str) -> str:
    """Fields with their values; those of equal values together."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for field, choices in need.items():
        alike.setdefault(choices, []).append(field)
    return joint.join(f"{joint.join(names)} = {' or '.join(map(str, choices))}" for choices, names in alike.items())
