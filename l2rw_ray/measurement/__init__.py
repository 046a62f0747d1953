"""Measure time, memory and the machine; needs torch and psutil alone."""

from l2rw_ray.measurement.allocator import give_back_freed_memory, keep_freed_memory
from l2rw_ray.measurement.hardware import describe_hardware
from l2rw_ray.measurement.memory import peak_memory_bytes
from l2rw_ray.measurement.system_load import SYSTEM, SystemLoad
from l2rw_ray.measurement.timing import PhaseTimer, interleaved_times

__all__ = [
    "SYSTEM",
    "PhaseTimer",
    "SystemLoad",
    "describe_hardware",
    "give_back_freed_memory",
    "interleaved_times",
    "keep_freed_memory",
    "peak_memory_bytes",
]
