"""Trains and evaluates one trial, from its stored state on. It needs no Ray.

run            training, evaluating and recording, in that order
report         a trial's report to its scheduler and the sweep
trainer        the interface by which `run` has the network trained
local_trainer  this process trains it
pack           a process that trains many as one stack
member         one trial's network in a stack, as both of them train it
board          its TensorBoard run
states         its stored states; warm_start the first, if it begins with another trial's weights
standalone     a trial that no sweep keeps, taken further by whoever keeps its state
held_out_sets  the held-out data of the trials of a process
devices        where a trial is trained
gpu_memory     whether a pack fits on its GPU
own_code       a user's own code, tried before a sweep starts
scoring        further scores for trials that have ended

A network in training is held by five objects, each of which holds the next and has a task of its own:

TrialTrainable  (tune.trial_trainable)  takes up one trial after another for Ray Tune
TrialRun        (run)                   scores, saves and records the trial, in the order that survives a kill
Trainer         (trainer)               stops the network for each evaluation: `LocalTrainer`, or `PackTrainer` afar
Member          (member)                the network as part of a stack, with its targets and its TensorBoard run
Trial           (training.trial)        weights, optimiser, iteration

For a trained network, `dd_ray.probes.networks.Network` holds the model alone.
"""
