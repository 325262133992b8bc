"""VAE with representational inertia: each latent mixes its encoding with its prediction from earlier latents."""

import torch
from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.config.schedules import value_at
from dd_ray.data import Batch
from dd_ray.models.outputs import Reconstruction
from dd_ray.models.prediction import inertia_matrix, predict_linearly
from dd_ray.models.vae import VideoVAE

ORIGINAL_GAMMA = 0.75
"""The γ that every run of the published code used, whatever γ was asked for."""


class InertiaVAE(VideoVAE):
    """z_i = (1 − γ) e_i + γ ẑ_i with e_i the encoder's mean of frame i, decoded to frame i + delay.

    z_0 = e_0, ẑ_1 = z_0, ẑ_{i+1} = z_i + α (z_i − z_{i−1}), for i = 0 … T − 1 − delay. The posterior is N(z_i, σ_i²)
    with the encoder's σ_i, or with `posterior = "filtered"` the filter's (`filter_variance`). Frames are decoded, and
    the KL summed, from i = 1 on, since z_0 is not filtered. At γ = 1 everything after frame 0 is ignored.

    γ is fixed, or learned as the sigmoid of a parameter, starting at `gamma`: one for all latents, or one for each, so
    that latents of moving things may differ from those of resting ones.

    With `decode = "extrapolated"` the decoder gets z_i + α (z_i − z_{i−1}) in place of z_i. Otherwise the filter lags,
    and can only show where the circle was.
    """

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.gamma: Tensor
        self.matrix: Tensor
        self.delay = config.delay
        self.extrapolate = config.decode == "extrapolated"
        self.filters_variance = config.posterior == "filtered"
        original = config.compat == "original"
        self.first_kl_frame = 0 if original else self.traits.warm_up
        self.num_frames = config.frames
        self.scheduled = config if config.gamma_schedule != "constant" else None
        gamma = ORIGINAL_GAMMA if original else value_at(config, "gamma", 0)
        self.num_latents_in_time = config.num_latents_in_time
        self.learns_gamma = config.learn_gamma != "none"
        if self.learns_gamma:
            start = torch.full(
                () if config.learn_gamma == "shared" else (config.num_latents,), gamma, dtype=torch.float64
            )
            self.gamma_logit = nn.Parameter(start.logit().float())
        else:
            self.register_buffer("gamma", torch.tensor(gamma, dtype=torch.float64))
        # Computed once, unless α or γ is learned or γ follows a schedule.
        self.register_buffer("matrix", self._matrix().detach().float(), persistent=False)

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...] | None:
        """Return [B, T − delay, L]: one draw for each latent."""
        return super().noise_shape(batch_size, num_frames - self.delay)

    def scheduled_at(self, iteration: int) -> dict[str, float]:
        """Return γ if it follows a schedule."""
        return {} if self.scheduled is None else {"gamma": value_at(self.scheduled, "gamma", iteration)}

    @property
    def current_gamma(self) -> Tensor:
        """The present γ in float64: a scalar, or [L] if each latent learns its own."""
        return self.gamma_logit.double().sigmoid() if self.learns_gamma else self.gamma

    def learned_values(self) -> dict[str, Tensor]:
        """Return α, and γ of each latent, if they are learned."""
        if not self.learns_gamma:
            return super().learned_values()
        gamma_l = self.current_gamma.expand(self.num_latents)
        return super().learned_values() | {f"gamma/latent_{i}": gamma for i, gamma in enumerate(gamma_l)}

    def filter(self, encoded: Tensor) -> Tensor:
        """Filter e [B, n, L] into z [B, n, L], by the matrix of the recursion or one matrix per latent."""
        return _in_time(self._current_matrix(), encoded)

    def filter_variance(self, logvar: Tensor) -> Tensor:
        """Filter log σ_e² [B, n, L] of the encoder into log σ² [B, n, L], with σ_i² = Σ_j M_ij² σ_{e,j}².

        z = M e has these variances for independent e_j ~ N(·, σ_{e,j}²). It also has covariances between frames, so its
        draws are smoother in time than those of the posterior, which are independent.
        """
        variance = _in_time(self._current_matrix().square(), logvar.exp())
        return variance.clamp_min(torch.finfo(logvar.dtype).tiny).log()

    def _current_matrix(self) -> Tensor:
        fixed = self.scheduled is None and not self.learns_alpha and not self.learns_gamma
        return self.matrix if fixed else self._matrix()

    def _matrix(self) -> Tensor:
        return inertia_matrix(self.current_gamma, self.alpha.double(), self.num_latents_in_time)

    def forward(self, batch: Batch, noise: Tensor | None = None) -> Reconstruction:
        """Filter the encoded frames and decode them; `noise` as `noise_shape` says, or None for the means."""
        encoded, logvar = self.encode(batch.images[:, : self.num_latents_in_time])
        mu = self.filter(encoded)
        if self.filters_variance:
            logvar = self.filter_variance(logvar)
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
        """Return z_i; or, extrapolated, z_i + α (z_i − z_{i−1}), one step ahead of each latent but z_0."""
        if not self.extrapolate:
            return mu
        ahead = mu[:, 1:] + self.alpha * (mu[:, 1:] - mu[:, :-1])
        return torch.cat([mu[:, :1], ahead], dim=1)


def _in_time(matrix: Tensor, latents: Tensor) -> Tensor:
    """Multiply a matrix [n, n], or [L, n, n] with one per latent, by latents [B, n, L] over time: [B, n, L]."""
    matrix = matrix.to(latents.dtype)
    if matrix.dim() == 2:
        return torch.matmul(matrix, latents)
    return torch.matmul(matrix, latents.permute(2, 1, 0)).permute(2, 1, 0)
