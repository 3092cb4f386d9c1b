"""The collapsed form of a sparse-GP potential: the arrays from which energies and forces are computed at run time.

A Gaussian process whose kernel is a polynomial of degree one and two collapses to a linear and a quadratic form of
the normalised power spectrum, whatever the number of inducing environments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.units import Array, Count, EnergyArray, ForceArray, Length, Number, NumberArray, Unit

#: The highest degree of spherical harmonics that the compiled core knows.
MOST_L = 6


@dataclass(frozen=True)
class CollapsedForm:
    r"""A potential of S species, N radial functions, degrees up to L and Q mixed channels.

    For an atom of species z, with neighbours j of species s,

    .. math::

        c_{snlm} &= \sum_{j \in s} R_n(r_j) Y_{lm}(\hat r_j), \qquad
        d_{qlm} = \sum_{sn} U^{z l}_{q,sn} c_{snlm}

        p_{l,q \le q'} &= \sqrt{2 - \delta_{qq'}} \sum_m d_{qlm} d_{q'lm}, \qquad
        \hat p = p / \sqrt{|p|^2 + \epsilon^2}

        E &= e_z + w_z \cdot \hat p + \hat p^T W_z \hat p + \tfrac12 \sum_j \varphi_{zs}(r_j)

    with real spherical harmonics, :math:`\sum_m Y_{lm}^2 = (2l+1)/4\pi`. Features stand degree by degree, in each
    the upper triangle q ≤ q' row by row: D = (L + 1) Q (Q + 1) / 2 of them. Radial functions and pair energies are
    cubic Hermite interpolants between evenly spaced nodes from 0 to their cutoff, where they and their slopes are
    zero; forces are the derivatives of the interpolants.

    Attributes
    ----------
    cutoff
        Å.
    l_max
        L, at most 6.
    radial
        Radial functions at the nodes, (nodes, N).
    radial_slopes
        Their derivatives, 1/Å, (nodes, N).
    offsets
        Energies of isolated atoms e, eV, (S,).
    epsilon
        Length of a spectrum below which it counts as none.
    mixing
        U, (S, L + 1, Q, S · N); None leaves channels as they are: Q = S · N, q = s N + n.
    linear
        w, eV, (S, D); None for zero.
    quadratic
        Columns V, (S, D, rank), of W = V diag(weights) Vᵀ where `weights` are given, else W itself, eV, (S, D, D),
        symmetric; None for zero.
    weights
        eV, (S, rank).
    pair_cutoff
        Å; at most `cutoff`.
    pair
        Pair energies φ at their nodes, eV, (S, S, nodes), symmetric in the species; None for zero.
    pair_slopes
        Their derivatives, eV/Å, (S, S, nodes).

    Raises
    ------
    InputError
        If shapes do not belong together, or a number is not finite.
    """

    cutoff: Length
    l_max: Count
    radial: NumberArray
    radial_slopes: Annotated[Array, Unit("1/Å")]
    offsets: EnergyArray
    epsilon: Number = 1e-6
    mixing: NumberArray | None = None
    linear: EnergyArray | None = None
    quadratic: Annotated[Array, Unit("eV or 1")] | None = None
    weights: EnergyArray | None = None
    pair_cutoff: Length = 0.0
    pair: EnergyArray | None = None
    pair_slopes: ForceArray | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, field.name, frozen(np.ascontiguousarray(value)))
        _check(self)

    @property
    def n_species(self) -> Count:
        """S."""
        return len(self.offsets)

    @property
    def n_radial(self) -> Count:
        """N."""
        return int(self.radial.shape[1])

    @property
    def n_channels(self) -> Count:
        """Q."""
        return self.n_species * self.n_radial if self.mixing is None else int(self.mixing.shape[2])

    @property
    def n_features(self) -> Count:
        """D."""
        return (self.l_max + 1) * self.n_channels * (self.n_channels + 1) // 2

    @property
    def rank(self) -> Count:
        """Columns of `quadratic`."""
        return 0 if self.quadratic is None else int(self.quadratic.shape[2])


def _check(form: CollapsedForm) -> None:
    if not (0 <= form.l_max <= MOST_L and form.cutoff > 0 and form.epsilon > 0):
        found = f"l_max = {form.l_max}, cutoff = {form.cutoff} Å, epsilon = {form.epsilon}"
        raise _unfit(found, f"l_max 0 to {MOST_L}, and a positive cutoff and epsilon")
    if form.radial.ndim != 2 or len(form.radial) < 2 or not form.radial.shape[1]:
        raise _unfit(f"radial functions of shape {form.radial.shape}", "(nodes, N) with at least two nodes")
    if (form.pair is None) != (form.pair_slopes is None) or (form.weights is not None and form.quadratic is None):
        raise _unfit("values without slopes, or weights without a form", "both")
    for name, shape in _shapes(form).items():
        value = getattr(form, name)
        if value is None:
            continue
        if value.shape != shape:
            raise _unfit(f"{name} of shape {value.shape}", str(shape))
        if not np.isfinite(value).all():
            raise _unfit(f"{name} holds numbers that are not finite", "finite numbers")
    if form.pair is not None and not (0 < form.pair_cutoff <= form.cutoff and form.pair.shape[2] > 1):
        raise _unfit(
            f"a pair cutoff of {form.pair_cutoff} Å", f"one above 0 and at most {form.cutoff} Å, two nodes"
        )


def _shapes(form: CollapsedForm) -> dict[str, tuple[int, ...]]:
    s, d = form.n_species, form.n_features
    rank = form.rank if form.weights is not None else d
    nodes = 0 if form.pair is None else form.pair.shape[-1]
    return {
        "offsets": (s,),
        "radial": form.radial.shape,
        "radial_slopes": form.radial.shape,
        "mixing": (s, form.l_max + 1, form.n_channels, s * form.n_radial),
        "linear": (s, d),
        "quadratic": (s, d, rank),
        "weights": (s, rank),
        "pair": (s, s, nodes),
        "pair_slopes": (s, s, nodes),
    }


def _unfit(found: str, expected: str) -> InputError:
    return InputError(found, where="collapsed potential", expected=expected, remedy="Collapse the model again.")
