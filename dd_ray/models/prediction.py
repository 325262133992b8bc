"""Linear prediction in latent space, and the recurrent filter built on it."""

import torch
from torch import Tensor


def predict_linearly(latents: Tensor, alpha: Tensor) -> Tensor:
    """ẑ_0 = z_0, ẑ_1 = z_0, ẑ_t = z_{t−1} + α (z_{t−1} − z_{t−2}): each latent from the two before it.

    Args:
        latents: z, [B, T, L].
        alpha: α, a scalar tensor; 1 is constant velocity.

    Returns:
        ẑ, [B, T, L]. Frames 0 and 1 have too little past for a prediction; errors are counted from t = 2 on.
    """
    past, last = latents[:, :-2], latents[:, 1:-1]
    return torch.cat([latents[:, :1], latents[:, :1], last + alpha * (last - past)], dim=1)[:, : latents.shape[1]]


def inertia_matrix(gamma: Tensor, alpha: Tensor, num_frames: int) -> Tensor:
    """Return the matrix M of z = M e, which is equivalent to the recursion of representational inertia.

    z_0 = e_0 and z_i = (1 − γ) e_i + γ ẑ_i with ẑ_1 = z_0 and ẑ_i = (1 + α) z_{i−1} − α z_{i−2}, that is
    (I − γP) z = diag(1, 1 − γ, …, 1 − γ) e with P the matrix of the prediction.

    Args:
        gamma: γ in [0, 1], a scalar tensor; or [L], for a matrix per latent.
        alpha: α, a scalar tensor of the same type; M is differentiable in both.
        num_frames: n, the number of latents in time.

    Returns:
        [n, n] or [L, n, n], lower triangular; at γ = 1 only its first column is not zero.
    """
    eye = torch.eye(num_frames, dtype=alpha.dtype, device=alpha.device)
    one_back, two_back = eye.roll(1, dims=0).tril(-1), eye.roll(2, dims=0).tril(-2)
    velocity = one_back.clone()
    velocity[1:2] = 0  # ẑ_1 = z_0: no velocity is known yet
    prediction = one_back + alpha * (velocity - two_back)
    gamma = gamma[..., None, None]
    share = (1 - gamma) * eye
    share[..., :1, :1] = 1  # by slices: an index would be a copy from the host, which no captured step may make
    return torch.linalg.solve_triangular(eye - gamma * prediction, share, upper=False, unitriangular=True)
