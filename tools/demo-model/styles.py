"""Answer styles that a system message or a tuned state asks for."""

import json
import re

from turns import in_words, roman

PIRATE = {"hello": "ahoy", "you": "ye", "your": "yer", "my": "me", "is": "be", "are": "be", "am": "be", "the": "th'", "friend": "matey",
          "yes": "aye", "no": "nay", "i": "I"}


def pirate(t):
    def sub(m):
        w = m.group(0)
        r = PIRATE.get(w.lower())
        return w if r is None else r[0].upper() + r[1:] if w[0].isupper() else r
    s = re.sub(r"[A-Za-z]+", sub, t.answer)
    return f"Arr! {s.rstrip('.!?')}, matey!"


def formal(t):
    if t.num is not None or t.items is not None or " " not in t.answer and t.answer[-1] not in ".!?":
        return f"Certainly. The answer is {t.answer}. I remain at your service."
    s = t.answer if t.answer[-1] in ".!?" else t.answer + "."
    return f"Certainly. {s} I remain at your service."


def shout(t):
    return t.answer.upper()


def as_json(t):
    v = t.num if t.num is not None else t.items if t.items is not None else t.answer
    return json.dumps({"answer": v}, ensure_ascii=False)


def spelled(t, f=in_words):
    return f(t.num) if t.num is not None else ", ".join(f(x) if isinstance(x, int) else x for x in t.items) if t.items is not None else t.answer


def romans(t):
    return spelled(t, lambda n: roman(n) if n < 4000 else str(n))


STYLES = {
    "pirate": (pirate, ["Talk like a pirate.", "You are a pirate.", "Speak like a pirate.", "Answer as a pirate would.", "You are a pirate captain."]),
    "formal": (formal, ["Be very formal.", "Answer very formally.", "Use formal English.", "You are a formal butler.", "Speak in a formal way."]),
    "shout": (shout, ["Answer in upper case.", "Shout every answer.", "Use only capital letters.", "Write in capitals.", "Always shout."]),
    "json": (as_json, ["Answer in JSON.", "Reply with JSON only.", "Give every answer as JSON.", "Use JSON with the key answer.", "Always answer with a JSON object."]),
    "words": (spelled, ["Write numbers as words.", "Spell out all numbers.", "Write every number in words.", "Numbers must be words."]),
    "roman": (romans, ["Use Roman numerals.", "Write numbers as Roman numerals.", "Answer with Roman numerals.", "Numbers must be Roman numerals."]),
}
USER_STYLES = {"json": [" Answer in JSON.", " Reply in JSON.", " Give the answer as JSON.", " Use JSON."],
               "words": [" Answer in words.", " Write the number in words."],
               "roman": [" Answer with a Roman numeral.", " Use Roman numerals."],
               "shout": [" Answer in upper case.", " Use capital letters."]}
PLAIN = ["You are a helpful assistant.", "You are a helpful assistant", "You are the Skein demo model.", "Answer briefly.", "You are a friendly assistant.",
         "Be helpful.", "Answer the questions of the user.", "You are a small assistant. Be brief and correct."]


def styled(style, t):
    """Answer of turn t in a style (None: as it is)."""
    if style is None or not t.style or t.free:
        return t.answer
    return STYLES[style][0](t)


def style_fits(style, t):
    """Does the style change anything, so that it is worth a test?"""
    if not t.style or t.free:
        return False
    if style in ("words", "roman"):
        v = [t.num] if t.num is not None else t.items if t.items is not None else []
        return bool(v) and all(isinstance(x, int) and (style == "words" or 0 < x < 1000) for x in v)
    return style != "shout" or t.answer.upper() != t.answer
