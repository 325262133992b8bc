"""VAE with representational inertia: each latent is in part what the latents before it predict."""

import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.config.schedules import value_at
from dd_ray.data import Batch
from dd_ray.models.outputs import Reconstruction
from dd_ray.models.prediction import inertia_matrix, predict_linearly
from dd_ray.models.vae import VideoVAE

ORIGINAL_GAMMA = 0.75
"""What every run of the published code used, whatever γ was asked for."""


class InertiaVAE(VideoVAE):
    """z_i = (1 − γ) e_i + γ ẑ_i with e_i the encoder's mean of frame i, decoded to frame i + delay.

    z_0 = e_0, ẑ_1 = z_0, ẑ_{i+1} = z_i + α (z_i − z_{i−1}), for i = 0 … T − 1 − delay. The posterior is
    N(z_i, σ_i²) with the encoder's σ_i. Frames are decoded, and the KL summed, from i = 1 on, since z_0
    is no filter's work. At γ = 1 everything after frame 0 is ignored.

    With `decode = "extrapolated"` the decoder gets z_i + α (z_i − z_{i−1}) in place of z_i, without which
    the filter can only show where the circle was.
    """

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.gamma: Tensor
        self.matrix: Tensor
        self.delay = config.delay
        self.extrapolate = config.decode == "extrapolated"
        original = config.compat == "original"
        self.first_kl_frame = 0 if original else self.traits.warm_up
        self.num_frames = config.frames
        self.learns_alpha = config.learn_alpha
        self.scheduled = config if config.gamma_schedule != "constant" else None
        gamma = ORIGINAL_GAMMA if original else value_at(config, "gamma", 0)
        self.num_latents_in_time = config.num_latents_in_time
        self.register_buffer("gamma", torch.tensor(gamma, dtype=torch.float64))
        # Once and for all, unless α is learned or γ follows a schedule.
        self.register_buffer("matrix", self._matrix().detach().float(), persistent=False)

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...] | None:
        """[B, T − delay, L]: one draw for each latent."""
        return super().noise_shape(batch_size, num_frames - self.delay)

    def scheduled_at(self, iteration: int) -> dict[str, float]:
        """γ, where it follows a schedule."""
        return {} if self.scheduled is None else {"gamma": value_at(self.scheduled, "gamma", iteration)}

    def filter(self, encoded: Tensor) -> Tensor:
        """e [B, n, L] to z [B, n, L] by the one matrix that the recursion is."""
        fixed = self.scheduled is None and not self.learns_alpha
        matrix = self.matrix if fixed else self._matrix()
        return torch.matmul(matrix.to(encoded.dtype), encoded)

    def _matrix(self) -> Tensor:
        return inertia_matrix(self.gamma, self.alpha.double(), self.num_latents_in_time)

    def forward(self, batch: Batch, noise: Tensor | None = None) -> Reconstruction:
        """Filter the encoded frames and decode them; `noise` as `noise_shape` says, or None for the means."""
        encoded, logvar = self.encode(batch.images[:, : self.num_latents_in_time])
        mu = self.filter(encoded)
        return Reconstruction(
            mu=mu,
            logvar=logvar,
            latents=self.sample(mu, logvar, noise),
            mu_predicted=predict_linearly(mu, self.alpha),
            frames=slice(0, self.num_latents_in_time),
            kl_frames=slice(self.first_kl_frame, self.num_latents_in_time),
            reconstruction=self.reconstruct(mu, logvar, noise),
            target=batch.target[:, self.traits.warm_up + self.delay :],
            encoded=encoded,
        )

    def decoder_input(self, mu: Tensor) -> Tensor:
        """z_i, or z_i + α (z_i − z_{i−1}), one step ahead of each latent, where z_0 stays."""
        if not self.extrapolate:
            return mu
        ahead = mu[:, 1:] + self.alpha * (mu[:, 1:] - mu[:, :-1])
        return torch.cat([mu[:, :1], ahead], dim=1)
