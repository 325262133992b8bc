"""Evaluates models on held-out data; `python -m dd_ray.evaluation PATH` computes further scores for a sweep.

evaluate (`Evaluation`)           losses, scores and pictures of held-out videos, at every evaluation of a trial
begin_evaluation                  the same, on a GPU beside others
model_scores, untrained_scores    the scores of `dd_ray.metrics.FURTHER`, of held-out still pictures
code_of                           a model as these scores see it
initial_model, initial_digest     a model before its training
encode_stills, encode_pictures    latents of still pictures, by their factors or as they are
region_errors, `PicturedRegions`  where in a picture reconstructions are wrong
price_of_motion                   what a slowness prior asks for following motion, and what that is worth
still_errors                      how wrong reconstructions of still pictures are
"""

from dd_ray.evaluation.held_out import Evaluation, begin_evaluation, evaluate
from dd_ray.evaluation.regions import PicturedRegions, region_errors, still_errors
from dd_ray.evaluation.scores import code_of, initial_digest, initial_model, model_scores, untrained_scores
from dd_ray.evaluation.slowness import PriceOfMotion, price_of_motion
from dd_ray.evaluation.stills import encode_pictures, encode_stills

__all__ = [
    "Evaluation",
    "PicturedRegions",
    "PriceOfMotion",
    "begin_evaluation",
    "code_of",
    "encode_pictures",
    "encode_stills",
    "evaluate",
    "initial_digest",
    "initial_model",
    "model_scores",
    "price_of_motion",
    "region_errors",
    "still_errors",
    "untrained_scores",
]
