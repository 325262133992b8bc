"""What is known of each model without building it, which takes no PyTorch."""

from dataclasses import dataclass

from dd_ray.config.names import Model


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a model needs, and what can be asked of it."""

    title: str
    """What people call it."""
    encodes: bool = True
    """Whether pictures have a code, which is scored: the latents, or the predicted factors."""
    draws: bool = True
    """Whether it draws pictures, whose reconstruction error it reports; if not, it reports that of the factors."""
    needs_videos: bool = False
    """Whether still images are refused."""
    warm_up: int = 0
    """Latents at the beginning of a video that are neither decoded nor penalised."""

    @property
    def has_latents(self) -> bool:
        """Whether what it draws is decoded from its code, whose parts are latents."""
        return self.encodes and self.draws

    @property
    def one(self) -> str:
        """The title with its article: `a supervised encoder`."""
        return f"{'an' if self.title[0] in 'aeiou' else 'a'} {self.title}"


TRAITS: dict[Model, Traits] = {
    "supervised_encoder": Traits(title="supervised encoder", draws=False),
    "supervised_decoder": Traits(title="supervised decoder", encodes=False),
    "beta_vae": Traits(title="β-VAE"),
    "predictive_vae": Traits(title="predictive VAE", needs_videos=True),
    "inertia_vae": Traits(title="inertia VAE", needs_videos=True, warm_up=1),
}
