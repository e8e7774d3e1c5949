"""A question with its answer, how questions are split into train, public and holdout, and random pieces of them."""

import re
import zlib

from lexicon import NAMES, NUM1, NUM10


def in_words(n):
    """42 -> 'forty two', 305 -> 'three hundred and five'."""
    if n < 0:
        return "minus " + in_words(-n)
    if n < 20:
        return NUM1[n]
    if n < 100:
        return NUM10[n // 10] + ("" if n % 10 == 0 else " " + NUM1[n % 10])
    if n < 1000:
        return NUM1[n // 100] + " hundred" + ("" if n % 100 == 0 else " and " + in_words(n % 100))
    return in_words(n // 1000) + " thousand" + ("" if n % 1000 == 0 else (" and " if n % 1000 < 100 else " ") + in_words(n % 1000))


def roman(n):
    if n == 0:
        return "nulla"
    if n < 0:
        return "-" + roman(-n)
    s = ""
    for v, t in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
                 (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while n >= v:
            s, n = s + t, n - v
    return s


class Turn:
    """num: the answer is this integer; items: it is this list; free: any sensible text is right (no exact test)."""

    def __init__(self, task, user, answer=None, num=None, items=None, free=False, style=True):
        self.task, self.user, self.num, self.items, self.free, self.style = task, user, num, items, free, style
        self.answer = answer if answer is not None else str(num) if num is not None else ", ".join(map(str, items))


def split_of(*key):
    h = zlib.crc32(repr(key).encode()) % 50
    return "public" if h == 0 else "holdout" if h == 1 else "train"


def keyed(rng, split, draw):
    """draw(rng) -> (key, value) until the key belongs to the split."""
    while True:
        k, v = draw(rng)
        if split_of(k) == split:
            return v


def number(rng, digits):
    return rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10 ** digits)


def pick_digits(rng):
    return rng.choices((1, 2, 3), (2, 3, 4))[0]


def invented(rng):
    """A made-up name of two or three syllables."""
    s = "".join(rng.choice("bcdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.choice((2, 2, 3))))
    return (s + rng.choice(("", "", "n", "r", "s", "l"))).capitalize()


def a_name(rng, made_up=0.3):
    return invented(rng) if rng.random() < made_up else rng.choice(NAMES)


def noise(rng, text, lower=False):
    """Small changes of wording and punctuation that do not change the question."""
    r = rng.random()
    if r < 0.10:
        text = text[0].lower() + text[1:]
    elif r < 0.16:
        text = text.rstrip("?.!")
    elif r < 0.22:
        text = text.lower() if lower or not re.search(r"[A-Z]", text[1:]) else text
    elif r < 0.27:
        text = rng.choice(("Please: ", "Hey, ", "Hi! ", "A question: ", "OK. ", "Now: ")) + text
    elif r < 0.30:
        text = text + rng.choice((" Thanks.", " Thank you.", " Please."))
    return text
