"""What the situation of a visit makes of a user's taste: the device, and the time of the day.

# N moments of users, S sessions, C categories, D devices, P parts of the day
"""

import numpy as np

from stream.sources.shop_config import DAY_MS, Draws, SimulatorConfig, generator
from stream.values import Float64s, Int64s

DEVICES = ("phone", "desktop", "tablet")
DEVICE_SHARES = (0.6, 0.3, 0.1)
PARTS_OF_DAY = 4
# Of the rank among the categories that a device or a part of the day prefers.
_POWER = 2.0


def session_devices(config: SimulatorConfig, n_sessions: int) -> Int64s:
    """The device of each session, where it matters what it is.

    Examples
    --------
    >>> session_devices(SimulatorConfig(), 5).tolist()
    [0, 1, 1, 0, 1]
    """
    rng = generator(config, Draws.SITUATIONS, 1)
    return rng.choice(len(DEVICES), n_sessions, p=DEVICE_SHARES)


class Situations:
    """How much of each category is wanted on each device and in each part of the day.

    Parameters
    ----------
    config : SimulatorConfig
        `device_shift` and `hour_shift` say how much of a taste gives way.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._device_shift, self._hour_shift = config.device_shift, config.hour_shift
        rng = generator(config, Draws.SITUATIONS)
        order_C = rng.permutation(config.categories)
        self._on_device_DC = _divided(order_C, len(DEVICES))
        self._in_part_PC = _divided(rng.permutation(config.categories), PARTS_OF_DAY)

    def wanted(self, taste_NC: Float64s, ts_N: Int64s, device_N: Int64s | None) -> Float64s:
        """What is wanted by users with these tastes, rows sum to 1; on any device if None."""
        if self._device_shift:
            on_NC = np.array(DEVICE_SHARES) @ self._on_device_DC
            if device_N is not None:
                on_NC = self._on_device_DC[device_N]
            taste_NC = (1 - self._device_shift) * taste_NC + self._device_shift * on_NC
        if self._hour_shift:
            part_N = ts_N % DAY_MS * PARTS_OF_DAY // DAY_MS
            in_part_NC = self._in_part_PC[part_N]
            taste_NC = (1 - self._hour_shift) * taste_NC + self._hour_shift * in_part_NC
        return taste_NC


def _divided(order_C: Int64s, n_parts: int) -> Float64s:
    """The categories dealt out: each part wants those that it was dealt, the first one most."""
    weight_C = (1.0 + np.arange(len(order_C)) // n_parts) ** -_POWER
    share_PC = np.zeros((n_parts, len(order_C)))
    share_PC[np.arange(len(order_C)) % n_parts, order_C] = weight_C
    # With fewer categories than parts, some parts want everything alike.
    share_PC[share_PC.sum(axis=1) == 0] = 1.0
    divided_PC: Float64s = share_PC / share_PC.sum(axis=1, keepdims=True)
    return divided_PC
