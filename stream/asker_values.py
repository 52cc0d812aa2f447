"""Who asks, as a value that travels with a context.

# C contexts, X tokens and F numbers of one
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Askers:
    """Who asks, beside their history: a row a context, in columns that `InputsConfig` lays out.

    `token_CX` are the buckets of tokens, -1 where there is none. `number_CF` are numbers on a
    common scale, 0 where one is not known. No answer is in them.
    """

    token_CX: NDArray[np.int32]
    number_CF: NDArray[np.float32]
