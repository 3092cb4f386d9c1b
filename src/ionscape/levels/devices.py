"""Where PyTorch evaluates a level: on a GPU where there is one, or as the setting ``device`` says."""

from __future__ import annotations

from ionscape.errors import InputError

#: Value of the setting that takes a GPU where PyTorch sees one.
AUTO = "auto"


def torch_device(asked: str, where: str) -> str:
    """Return the name of the device to be used, such as ``cpu``, ``cuda`` or ``cuda:1``.

    Parameters
    ----------
    asked
        ``auto``: ``cuda`` if PyTorch sees a GPU, else ``cpu``; or a device by name.
    where
        What asks, for the error.

    Raises
    ------
    InputError
        If PyTorch cannot use the device.
    """
    import torch

    if asked == AUTO:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"device '{asked}' ({' '.join(str(error).split())[:120]})",
            where=where,
            expected="auto, or a device that this PyTorch can use, such as cpu, cuda or cuda:1",
            remedy="Name another device, or install a PyTorch built for it.",
        ) from None
    return str(device)


def device_name(device: str) -> str:
    """Return a device with the name of its model where PyTorch tells one: ``cuda (NVIDIA …)``."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
