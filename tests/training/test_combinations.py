"""Every variant with every objective, network and dataset: it trains, or is refused by a sentence that says why.

Training is asked of so many that every two of variant, objective, network and dataset meet; `-m slow` asks all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import reduce
from itertools import combinations, product
from math import isfinite
from operator import or_
from random import Random
from typing import Any

import pytest
import torch

from dd_ray.config import MODELS, TrialConfig, video_datasets
from dd_ray.errors import UserError
from dd_ray.training import Stack, dump_state, load_state
from tests.small import DATA, NETWORKS, OBJECTIVES, name_of, small

Choices = dict[str, Any]
EACH: tuple[list[Choices], ...] = ([{}, *OBJECTIVES], [{}, *NETWORKS], [{}, *DATA])
ALL = [(model, *choices) for model in MODELS for choices in product(*EACH)]


def _refusal(model: str, *parts: Choices) -> str | None:
    """What is wrong with a combination, where something is."""
    choices = _joined(parts)
    still = choices.get("dataset", "moving_circles") not in video_datasets()
    if "objective" in choices and not MODELS[model].has_latents:
        return f"objective = {choices['objective']} has no effect on {model}; give beta, or use beta_vae or"
    if "target" in choices and not MODELS[model].has_latents:
        return f"target = {choices['target']} has no effect on {model}; give seen, or use beta_vae or"
    if choices.get("objective") == "slowness" and still:
        return "objective = slowness needs two latents in time"
    if choices.get("objective") == "velocity" and still:
        return "objective = velocity needs three latents in time"
    return f"{model} needs videos; use dataset = " if still and MODELS[model].needs_videos else None


def _joined(parts: Iterable[Choices]) -> Choices:
    return reduce(or_, parts)


def _pairwise(all_of_them: Iterable[tuple[str, *tuple[Choices, ...]]]) -> Iterator[TrialConfig]:
    """Few of them in which every two choices meet: one after the other in which most meet for the first time."""
    left = [(model, parts, {*combinations(enumerate([model, *map(repr, parts)]), 2)}) for model, *parts in all_of_them]
    while left:
        model, parts, met = max(left, key=lambda combination: len(combination[2]))
        yield small(model, **_joined(parts))
        left = [(*others, new) for *others, pairs in left if (new := pairs - met)]


POSSIBLE = [combination for combination in ALL if not _refusal(*combination)]
TRAINED = [small(model, **_joined(parts)) for model, *parts in POSSIBLE]
PAIRED = [*_pairwise(Random(1).sample(POSSIBLE, len(POSSIBLE)))]
REFUSED = [(*combination, why) for combination in ALL if (why := _refusal(*combination))]


def _faults(config: TrialConfig, losses: dict[tuple[float, float], str]) -> Iterator[str]:
    """What a combination's first steps do that they should not; `losses` are those of the combinations before it."""
    stack = Stack([config])
    trial = stack[config.key]
    before = trial.state().weights
    stack.step()
    state, loss = trial.state(), trial.terms.loss.item()
    yield from (f"{name} stays" for name in before if torch.equal(before[name], state.weights[name]))

    company = Stack([replace(config, seed=4), config], method="grouped")
    company.step()
    theirs, alone = company[config.key].square_avg.sqrt(), trial.square_avg.sqrt()
    if not (theirs - alone).norm() < 5e-5 * alone.norm():  # of tcvae, whose densities are sums that cancel, 1.3e-5
        yield "in a stack it gets other gradients than alone"

    resumed, again = Stack(), Stack()
    resumed.add(config, load_state(dump_state(state)))
    again.add(config, replace(state, iteration=0))
    for each in (stack, resumed, again):
        each.step()
    if not torch.equal(resumed[config.key].weights, trial.weights):
        yield "it resumes with other bits"
    found = loss, again[config.key].terms.loss.item()  # of the first batch with its noise, before and after a step
    if found[0] == found[1] or not all(map(isfinite, found)):
        yield f"a step takes the loss of its own batch from {found[0]} to {found[1]}"
    if (other := losses.setdefault(found, name_of(config))) != name_of(config):
        yield f"it is the same training as {other}"


@pytest.mark.parametrize("configs", [PAIRED, pytest.param(TRAINED, marks=pytest.mark.slow)], ids=["pairs", "all"])
@pytest.mark.parametrize("model", MODELS)
def test_a_combination_trains_resumes_and_is_stacked(model, configs):
    losses: dict[tuple[float, float], str] = {}
    ours = [config for config in configs if config.model == model]
    faults = {name_of(config): list(_faults(config, losses)) for config in ours}
    assert {name: found for name, found in faults.items() if found} == {}
    assert len(losses) == len(ours) > 1


def test_what_makes_no_sense_is_refused_by_a_sentence_that_says_why():
    for model, *parts, why in REFUSED:
        with pytest.raises(UserError, match=why):
            small(model, **_joined(parts))
