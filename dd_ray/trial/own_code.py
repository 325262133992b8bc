"""Tries a user's own code before a sweep starts, where an error is told at once and not by each of its trials."""

import re
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch

from dd_ray.config import DATASETS, TrialConfig
from dd_ray.config.extensions import naming, own_code_of
from dd_ray.data import Batch, held_out_stills
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate
from dd_ray.evaluation.stills import NUM_STILLS
from dd_ray.metrics import Code, ScoreError, further_scores
from dd_ray.models import Model, VideoVAE
from dd_ray.training import Stack

_NAMES_A_DEVICE = re.compile(r"cuda|gpu|triton|\bcpu\b", re.IGNORECASE)


def try_own_code(config: TrialConfig, *, on_gpus: bool) -> str:
    """Make a config's data and network on the CPU, let it learn from one batch, and evaluate it there.

    Args:
        config: the config.
        on_gpus: whether its trials may run on GPUs, for which alone the code may be written: then an error that names
            a device is passed over.

    Returns:
        Notes, a line each, on scores that would be left out or not be of the latents; empty if there are none.

    Raises:
        UserError: the user's own code raises an error, or returns something that it should not.
    """
    try:
        return _try(config)
    except UserError as error:
        if not (on_gpus and _NAMES_A_DEVICE.search(str(error))):
            raise
        return ""


def _try(config: TrialConfig) -> str:
    own = own_code_of(config)
    config = replace(config, warm_start=None, warm_start_weights=None)
    stack = Stack([config])
    model, batch = stack[config.key].model, stack.dataset.batches([0])[0]
    with naming(own):
        stack.step()
        if stack[config.key].diverged:
            raise UserError(f"{own} gives a loss that is no finite number on the first batch; let it give one.")
        evaluated = evaluate(model, config, batch)
    notes = [_note_of_encoded(own)] if model.traits.mixes_frames and evaluated.held_out.encoded is None else []
    if model.traits.encodes and (note := _note_of_stills(model, batch, own)):
        notes.append(note)
    return "\n".join(notes)


def _note_of_encoded(own: str) -> str:
    return (
        f"{own} mixes frames, but its outputs have no encoded, so that prediction_ratio_encoder and "
        "straightness_encoder are left out; let forward return the encoder's means as encoded."
    )


def _note_of_stills(model: Model, batch: Batch, own: str) -> str:
    """Return a note if scores of stills would not be of the model's latents; empty if they are."""
    with naming(own):
        stills = batch.images[:, :1]
        code = model.code(stills)
    if code.ndim != 3 or code.shape[:2] != stills.shape[:2]:
        raise UserError(f"{own} encodes into codes of shape {tuple(code.shape)}; give ({len(stills)}, 1, L).")
    if type(model).code is not VideoVAE.code:
        return ""
    with naming(own), torch.inference_mode():
        at_rest = model(replace(batch, images=stills.expand_as(batch.images))).mu
    if at_rest.allclose(code.expand_as(at_rest), rtol=0.01, atol=0.001):
        return ""
    return (
        f"{own} gives a picture at rest other latents than its encoder's means, from which scores of stills and "
        "traversals are computed; give it a method `code` that returns the latents of a picture."
    )


def try_own_scores(names: Collection[str], config: TrialConfig) -> None:
    """Compute a user's own scores of random latents, with the factors that a trial's latents are scored against.

    Raises:
        UserError: one raises an error, or gives no number.
    """
    rng = np.random.default_rng(0)

    def encode(factors: np.ndarray) -> np.ndarray:
        return rng.standard_normal((len(factors), config.num_latents))

    factors = held_out_stills(config, NUM_STILLS)
    code = Code(
        latents=encode(factors),
        factors=factors,
        factor_names=config.factor_names,
        encode=encode if DATASETS[config.dataset].drawn else None,
    )
    for name in names:
        with naming(f"metric = {name}"):
            try:
                further_scores([name], code)
            except ScoreError as error:
                raise UserError(str(error)) from error
