"""Where and how precisely torch computes: device, threads, number type, determinism."""

import hashlib

import torch

from histopair import jobs
from histopair.jobs import allocator

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def start(seed: int | None = None) -> torch.device:
    """Set torch's threads and determinism, seed it if asked, and return the device to use.

    On one machine and thread count the same seed gives the same bits on the CPU. float32 stays
    float32 on a GPU: without TensorFloat-32, which rounds products of matrices and convolutions.
    """
    torch.set_num_threads(jobs.threads())
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    # As use_deterministic_algorithms, which also loads torch's compiler, and that takes a second.
    torch.set_deterministic_debug_mode("warn")
    if seed is not None:
        torch.manual_seed(seed)
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    allocator.keep_freed_memory()
    return torch.device("cpu")


def random_state(device: torch.device) -> torch.Tensor:
    """The state of torch's random numbers on the CPU and, if that is a GPU, on the device."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(state: torch.Tensor, device: torch.device) -> None:
    """Go back to a `random_state` of the device."""
    size = len(torch.get_rng_state())
    torch.set_rng_state(state[:size])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[size:], device)


def dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number type for weights and activations of a frozen encoder.

    "auto" is bfloat16 if the GPU or CPU multiplies matrices in it, else float32. bfloat16 is 4 to 5
    times faster, and changes the top-1 report of 1 to 2% of the images.
    """
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def seed_of(*parts: object) -> int:
    """A 63-bit seed from any names and numbers, the same on every machine."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def weights_digest(*towers: torch.nn.Module | None) -> str:
    """sha256 of the parameters and buffers of towers, to name a cache; None is skipped."""
    digest = hashlib.sha256()
    for tower in filter(None, towers):
        for name, tensor in sorted(tower.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
