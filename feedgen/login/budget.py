"""The price of a generation: what P(login) must be worth it, steered so that what is spent follows what is earned."""

from typing import Final

import numpy as np

from feedgen.state.habits import DAY_S, Flags, Floats, Ints

_PROPORTIONAL: Final = 0.5
"""Price per day of budget over- or underspent, as a power of e; it is followed within about two days."""
_INTEGRAL: Final = 0.05
_MEMORY_DAYS: Final = 7.0
_REACH_DAYS: Final = 2.0
"""A larger debt or credit does not move the price faster."""
OVERSPENT_MOST: Final = 1.004


class Budget:
    """Accounts of generations, each kept by a price of its own. Sees nothing later than it is told.

    Some of what is earned is held back (`reserve_days`), so that no quiet day finds an account overspent.
    """

    def __init__(self, price: float, a_day: Floats, now: float, *, least_price: float, reserve_days: float) -> None:
        """`a_day`: what each account is expected to earn (generations); `price` to begin with, a probability."""
        self.earned = np.zeros(len(a_day))
        self.spent = np.zeros(len(a_day))
        self.price = np.full(len(a_day), price)
        self._a_day = a_day.astype(np.float64)
        self._base = np.log(self.price)
        self._least = float(np.log(least_price))
        self._reserve = reserve_days
        self._settled = np.zeros(len(a_day))
        self._now = now

    @property
    def exhausted(self) -> Flags:
        """Which accounts have nothing left, whatever the price."""
        exhausted: Flags = self.spent >= self.earned * OVERSPENT_MOST
        return exhausted

    def spend(self, accounts: Ints) -> None:
        """A generation from each of these accounts; one may be named often."""
        self.spent += np.bincount(accounts, minlength=len(self.spent))

    def earn(self, amounts: Floats, most_days: float = np.inf) -> None:
        """Credit the accounts; what they hold beyond `most_days` of their mean earnings lapses. O(accounts)."""
        earned = self.earned + amounts
        self.earned = np.minimum(earned, self.spent + most_days * self._a_day)
        self._settled -= earned - self.earned  # what lapses was earned all the same

    def anchor(self, price: float) -> None:
        """Steer around this price from now on, as one that is known to meet the budget nearly."""
        self._base[:] = np.clip(np.log(max(price, 1e-12)), self._least, 0.0)

    def begin(self) -> None:
        """Empty accounts; the prices, and what a day is expected to earn, stay."""
        self.earned[:] = self.spent[:] = self._settled[:] = 0

    def settle(self, now: float) -> None:
        """Set the prices for `now` (s) from what was earned and spent until now. O(accounts)."""
        days = (now - self._now) / DAY_S
        if days <= 0:
            return
        share = 1 - 0.5 ** (days / _MEMORY_DAYS)
        self._a_day += share * ((self.earned - self._settled) / days - self._a_day)
        self._settled[:] = self.earned
        self._now = now
        left = (self.earned - self.spent) / np.maximum(self._a_day, 1e-9) - self._reserve
        left = np.clip(left, -_REACH_DAYS, _REACH_DAYS)
        self._base = np.clip(self._base - _INTEGRAL * left * days, self._least, 0.0)
        self.price = np.exp(np.clip(self._base - _PROPORTIONAL * left, self._least, 0.0))
