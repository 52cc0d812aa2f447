"""Who asks: what profiles and requests say of them, as columns beside their history.

# N queries, X tokens of one, F numbers of one on a common scale, R raw numbers
"""

from collections.abc import Mapping, Sequence

import numpy as np

from stream.asker_values import Askers
from stream.carried import Carried
from stream.events import User
from stream.field_columns import FieldColumns, circled
from stream.histories import Histories
from stream.input_settings import InputsConfig
from stream.profiles import ProfileReader, Profiles, versions
from stream.running_moments import RunningMoments
from stream.values import Batch, Float64s, Int32s, Int64s, State

_WEEK_MS = 7 * 86_400_000
_CYCLE_MS = {"day": _WEEK_MS // 7, "week": _WEEK_MS}
# 1970 began on a Thursday: weeks are counted from Monday.
_FIRST_MONDAY_MS = 4 * _CYCLE_MS["day"]


class AskerReader:
    """Lays out what was declared of users and requests.

    Within a batch a user's own profile events count from the instant after them on, as the user's
    own clicks do; the scales of numbers move between batches alone.

    Memory: that of `Profiles`.

    Parameters
    ----------
    config : InputsConfig
        What was declared.
    histories : Histories
        In whose rows profiles are kept.
    """

    def __init__(self, config: InputsConfig, histories: Histories) -> None:
        self._config = config
        self._histories = histories
        self._context = FieldColumns(config.context, "context", config.token_buckets)
        self._reader = ProfileReader(config)
        self._profiles = Profiles(config)
        self._context_moments = RunningMoments(self._context.n_raw)
        self._profile_moments = RunningMoments(self._reader.fields.n_raw)

    def checked(self, carried: Carried) -> Carried:
        """Of what requests carried, what was declared and can be used."""
        return [self._context.checked(one) for one in carried]

    def columns(
        self,
        users: Sequence[str],
        ts_N: Int64s,
        told: Carried | None,
        events: Mapping[str, list[User]],
    ) -> Askers:
        """Who asks, for each query.

        What a request carried is part of the question. Of a click it is known when the click is
        asked about, because the page that was clicked on had been asked for with it; nothing here
        is handed the item, and whoever declares a field says that it does not tell of it.

        Parameters
        ----------
        users : sequence of str
            Who asks.
        ts_N : int array
            When.
        told : sequence of mapping or None
            What each request carried, as `checked` left it.
        events : mapping of str to list of User
            The batch's profile events by user, in order of time.
        """
        token_NP, profile_NR = self._profiles_at(users, ts_N, events)
        token_NJ, context_NR = self._context.columns(told or [None] * len(users))
        waves = [circled(_turns(ts_N, _CYCLE_MS[cycle])) for cycle in self._config.clock]
        number_NF = np.concatenate(
            [
                self._reader.fields.scaled(profile_NR, self._profile_moments),
                self._context.scaled(context_NR, self._context_moments),
                *waves,
            ],
            axis=1,
        )
        token_NX = np.concatenate([token_NP, token_NJ], axis=1)
        return Askers(token_NX, number_NF.astype(np.float32))

    def advance(self, batch: Batch, events: Mapping[str, list[User]]) -> None:
        """Move past a batch: scales by what its requests carried, profiles by these events."""
        carried = [*(batch.clicks.context_B or []), *(batch.impressions.context_N or [])]
        self._context_moments.add(self._context.columns(carried)[1])
        if not events or not self._config.reads_profiles:
            return
        rows, recycled_R = self._histories.admit(list(events))
        self._profiles.erase(recycled_R)
        told_NR = [np.zeros((0, self._reader.fields.n_raw))]
        for row, of_user in zip(rows.tolist(), events.values(), strict=True):
            known = versions(self._reader, of_user, self._profiles.of(row))
            if row >= 0 and known:
                self._profiles.write(row, known[-1])
                told_NR.append(known[-1].raw_R[None])
        self._profile_moments.add(np.concatenate(told_NR))

    def erase(self, rows: Int32s) -> None:
        """Leave nothing of the profiles of users whose rows were taken from them."""
        self._profiles.erase(rows)

    def state_dict(self) -> State:
        return {
            "schema_version": 1,
            "profiles": self._profiles.state_dict(),
            "context_moments": self._context_moments.state_dict(),
            "profile_moments": self._profile_moments.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._profiles.load_state_dict(state["profiles"])
        self._context_moments.load_state_dict(state["context_moments"])
        self._profile_moments.load_state_dict(state["profile_moments"])

    def _profiles_at(
        self, users: Sequence[str], ts_N: Int64s, events: Mapping[str, list[User]]
    ) -> tuple[Int32s, Float64s]:
        row_N = self._histories.rows(users)
        token_NP, raw_NR = self._profiles.at(row_N, ts_N)
        if not events or not self._config.reads_profiles:
            return token_NP, raw_NR
        known_of = {}
        for n, user in enumerate(users):
            if user not in events:
                continue
            if user not in known_of:
                before = self._profiles.of(int(row_N[n]))
                known_of[user] = versions(self._reader, events[user], before)
            earlier = [one for one in known_of[user] if one.ts_ms < ts_N[n]]
            if earlier:
                token_NP[n], raw_NR[n] = earlier[-1].token_P, earlier[-1].raw_R
        return token_NP, raw_NR


def _turns(ts_N: Int64s, cycle_ms: int) -> Float64s:
    turns_N: Float64s = np.mod(ts_N - _FIRST_MONDAY_MS, cycle_ms) / cycle_ms
    return turns_N
