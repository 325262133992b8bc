"""Every variant with every objective, network and dataset: it trains, or is refused by a sentence that says why.

That all of a combination learns, and that its loss is its own, is asked of all of them. What costs more, resuming and
stacking, is asked of so many that every two of objective, network and dataset meet with every variant.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch

from dd_ray.config import MODELS, TrialConfig, video_datasets
from dd_ray.errors import UserError
from dd_ray.training import Stack, dump_state, load_state
from tests.small import DATA, NETWORKS, OBJECTIVES, name_of, small

Choices = dict[str, Any]
EACH: tuple[list[Choices], ...] = ([{}, *OBJECTIVES], [{}, *NETWORKS], [{}, *DATA])
ALL: list[tuple[str, Choices]] = [(model, a | b | c) for model in MODELS for a, b, c in product(*EACH)]


def _refusal(model: str, choices: Choices) -> str | None:
    """What is wrong with a combination, where something is."""
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


def _pairs() -> Iterator[tuple[str, Choices]]:
    objectives, networks, data = EACH
    for model in MODELS:
        for i, j in product(range(len(objectives)), range(len(data))):
            # Fewer networks than either, so that each meets all of both.
            yield model, objectives[i] | networks[(i + j) % len(networks)] | data[j]


TRAINED = [small(model, **choices) for model, choices in ALL if not _refusal(model, choices)]
PAIRED = [small(model, **choices) for model, choices in _pairs() if not _refusal(model, choices)]
REFUSED = [(*combination, why) for combination in ALL if (why := _refusal(*combination))]


@cache
def _losses(config: TrialConfig) -> tuple[float, float]:
    """Of the first batch, with the noise of its iteration, before and after a step on it."""
    stack, again = Stack([config]), Stack()
    stack.step()
    trained = stack[config.key]
    again.add(config, replace(trained.state(), iteration=0))
    again.step()
    assert not trained.diverged and not again[config.key].diverged
    return trained.terms.loss.item(), again[config.key].terms.loss.item()


@pytest.mark.parametrize("config", TRAINED, ids=name_of)
def test_a_step_moves_the_loss_of_its_own_batch(config):
    before, after = _losses(config)
    assert before != after


@pytest.mark.parametrize("config", TRAINED, ids=name_of)
def test_every_part_of_the_network_learns(config):
    untrained, trained = Stack([config]), Stack([config])
    trained.step()
    before, after = (stack[config.key].state().weights for stack in (untrained, trained))
    assert [name for name in before if torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("model", MODELS)
def test_no_two_combinations_are_the_same_training(model):
    ours = [config for config in TRAINED if config.model == model]
    assert len({_losses(config) for config in ours}) == len(ours) > 1


@pytest.mark.parametrize(("model", "choices", "why"), REFUSED)
def test_what_makes_no_sense_is_refused_by_a_sentence_that_says_why(model, choices, why):
    with pytest.raises(UserError, match=why):
        small(model, **choices)


@pytest.mark.parametrize("config", PAIRED, ids=name_of)
def test_a_combination_resumes_bit_for_bit(config):
    stack = Stack([config])
    stack.step()
    resumed = Stack()
    resumed.add(config, load_state(dump_state(stack[config.key].state())))
    for each in (stack, resumed):
        each.step()
    assert torch.equal(resumed[config.key].weights, stack[config.key].weights)


@pytest.mark.parametrize("config", PAIRED, ids=name_of)
def test_a_combination_gets_in_a_stack_the_gradients_that_it_gets_alone(config):
    configs = [config, replace(config, seed=4)]
    together, alone = Stack(configs, method="grouped"), Stack(configs)
    together.step()
    alone.step()
    for each in configs:
        ours, theirs = together[each.key].square_avg.sqrt(), alone[each.key].square_avg.sqrt()
        # Of tcvae, whose densities are sums of many that cancel, 1.3e-5.
        assert (ours - theirs).norm() < 5e-5 * theirs.norm()
