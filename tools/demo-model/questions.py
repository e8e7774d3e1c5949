"""One generator per task: each draws a question with one right answer (stories are free)."""

from lexicon import (ADJ, ANIMALS, CAPITALS, CHAT, CITIES, COLOURS, DAYS, DRINKS, FACTS, FOODS,
                     FRUITS, MONTHS, NAMES, UNICODE, UNKNOWN, UNKNOWN_ANSWER, VERBS, WORDS)
from turns import Turn, a_name, in_words, invented, keyed, noise, number, pick_digits, roman


def t_add(rng, split):
    a, b = keyed(rng, split, lambda g: (lambda a, b: (("add", a, b), (a, b)))(number(g, pick_digits(g)), number(g, pick_digits(g))))
    f = rng.choice(("What is {a} + {b}?", "{a} + {b}", "{a}+{b}", "{a}+{b}=", "{a} + {b} = ?", "Add {a} and {b}.", "What is {a} plus {b}?",
                    "Calculate {a} + {b}.", "How much is {a} + {b}?", "How much is {a} plus {b}?", "Compute {a} + {b}.",
                    "What is the sum of {a} and {b}?", "I have {a} {w} and get {b} more. How many do I have?",
                    "There are {a} {w} in one box and {b} in another. How many are there?", "What's {a} + {b}?", "Tell me {a} plus {b}."))
    return Turn("add", f.format(a=a, b=b, w=rng.choice(("apples", "coins", "books", "stones", "nuts", "cards"))), num=a + b)


def t_sub(rng, split):
    def draw(g):
        a, b = number(g, pick_digits(g)), number(g, pick_digits(g))
        if a < b and g.random() < 0.75:
            a, b = b, a
        return ("sub", a, b), (a, b)
    a, b = keyed(rng, split, draw)
    f = ["What is {a} - {b}?", "{a} - {b}", "{a}-{b}", "{a}-{b}=", "Subtract {b} from {a}.", "What is {a} minus {b}?", "Calculate {a} - {b}.",
         "How much is {a} - {b}?", "How much is {a} minus {b}?", "Compute {a} - {b}.", "What is the difference {a} - {b}?", "What's {a} - {b}?"]
    if a >= b:
        f += ["I have {a} {w} and give away {b}. How many are left?", "There are {a} {w} and {b} are taken. How many are left?"]
    return Turn("sub", rng.choice(f).format(a=a, b=b, w=rng.choice(("apples", "coins", "books", "stones", "nuts", "cards"))), num=a - b)


def t_mul(rng, split):
    def draw(g):
        a, b = g.randrange(0, 100) if g.random() < 0.7 else g.randrange(0, 13), g.randrange(0, 10)
        return ("mul", a, b), (a, b)
    a, b = keyed(rng, split, draw)
    if rng.random() < 0.5:
        a, b = b, a
    f = rng.choice(("What is {a} x {b}?", "{a} x {b}", "{a}*{b}", "{a} * {b} = ?", "Multiply {a} by {b}.", "What is {a} times {b}?",
                    "Calculate {a} * {b}.", "How much is {a} times {b}?", "Compute {a} x {b}.", "What is the product of {a} and {b}?", "What's {a} * {b}?"))
    return Turn("mul", f.format(a=a, b=b), num=a * b)


def t_compare(rng, split):
    def draw(g):
        d = pick_digits(g)
        a, b = number(g, d), number(g, d if g.random() < 0.7 else pick_digits(g))
        return ("cmp", a, b), (a, b)
    a, b = keyed(rng, split, draw)
    while a == b:
        a, b = keyed(rng, split, draw)
    k = rng.randrange(6)
    if k == 0:
        return Turn("compare", rng.choice(("Which is larger, {} or {}?", "Which number is bigger, {} or {}?", "What is larger: {} or {}?")).format(a, b), num=max(a, b))
    if k == 1:
        return Turn("compare", rng.choice(("Which is smaller, {} or {}?", "Which number is smaller, {} or {}?", "What is smaller: {} or {}?")).format(a, b), num=min(a, b))
    if k == 2:
        return Turn("compare", rng.choice(("Is {} greater than {}?", "Is {} larger than {}?", "Is {} more than {}?")).format(a, b), "Yes." if a > b else "No.")
    if k == 3:
        return Turn("compare", rng.choice(("Is {} less than {}?", "Is {} smaller than {}?")).format(a, b), "Yes." if a < b else "No.")
    if k == 4:
        return Turn("compare", rng.choice(("Is {} even?", "Is {} an even number?")).format(a), "Yes." if a % 2 == 0 else "No.")
    return Turn("compare", rng.choice(("Is {} odd?", "Is {} an odd number?")).format(a), "Yes." if a % 2 else "No.")


def _numbers(rng, split, tag, lo=3, hi=6):
    def draw(g):
        top = g.choice((20, 100, 100, 1000))
        xs = g.sample(range(top), g.randint(lo, hi))
        return (tag, tuple(xs)), xs
    return keyed(rng, split, draw)


def t_sort_numbers(rng, split):
    xs = _numbers(rng, split, "sort")
    s = rng.choice((", ", ", ", " "))
    t = s.join(map(str, xs))
    if rng.random() < 0.75:
        f = rng.choice(("Sort these numbers: {}", "Sort the numbers {}.", "Sort: {}", "Put these numbers in order: {}", "Please sort {}.",
                        "Sort {} in ascending order.", "Order these from small to large: {}"))
        return Turn("sort_numbers", f.format(t), items=sorted(xs))
    f = rng.choice(("Sort {} in descending order.", "Order these from large to small: {}", "Sort these numbers from high to low: {}"))
    return Turn("sort_numbers", f.format(t), items=sorted(xs, reverse=True))


def t_minmax(rng, split):
    xs = _numbers(rng, split, "minmax", 3, 7)
    t = ", ".join(map(str, xs))
    k = rng.randrange(3)
    if k == 0:
        return Turn("minmax", rng.choice(("What is the largest of {}?", "Which is the largest number: {}?", "Find the maximum of {}.")).format(t), num=max(xs))
    if k == 1:
        return Turn("minmax", rng.choice(("What is the smallest of {}?", "Which is the smallest number: {}?", "Find the minimum of {}.")).format(t), num=min(xs))
    return Turn("minmax", rng.choice(("How many numbers are in this list: {}?", "How many numbers are there: {}?", "Count these numbers: {}")).format(t), num=len(xs))


def _some_words(rng, split, tag, lo, hi):
    def draw(g):
        xs = g.sample(WORDS, g.randint(lo, hi))
        return (tag, tuple(xs)), xs
    return keyed(rng, split, draw)


def t_sort_words(rng, split):
    xs = _some_words(rng, split, "sortw", 3, 5)
    f = rng.choice(("Sort these words: {}", "Sort the words {}.", "Put these words in alphabetical order: {}", "Sort alphabetically: {}",
                    "Alphabetical order please: {}", "Order these words from A to Z: {}"))
    return Turn("sort_words", f.format(", ".join(xs)), items=sorted(xs))


def t_word_order(rng, split):
    a, b = _some_words(rng, split, "abc", 2, 2)
    f = rng.choice(("Which word comes first in the alphabet, {} or {}?", "Which comes first in a dictionary, {} or {}?", "Alphabetically, which is first: {} or {}?"))
    return Turn("word_order", f.format(a, b), min(a, b))


def t_pick_word(rng, split):
    xs = _some_words(rng, split, "pickw", 3, 7)
    t, i = ", ".join(xs), rng.randrange(len(xs))
    k = rng.randrange(4)
    if k == 0:
        return Turn("pick_word", rng.choice(("What is the first word in this list: {}?", "Which word is first: {}?")).format(t), xs[0])
    if k == 1:
        return Turn("pick_word", rng.choice(("What is the last word in this list: {}?", "Which word is last: {}?")).format(t), xs[-1])
    if k == 2:
        return Turn("pick_word", rng.choice(("Reverse this list: {}", "Write this list backwards: {}", "Reverse the order of {}.")).format(t), items=xs[::-1])
    if i + 1 == len(xs):
        i -= 1
    return Turn("pick_word", rng.choice(("Which word comes after {w} in this list: {t}?", "What comes after {w} here: {t}?")).format(w=xs[i], t=t), xs[i + 1])


def _quote(rng, w):
    return rng.choice(("{}", "'{}'", '"{}"')).format(w)


def t_letters(rng, split):
    w = rng.choice(WORDS)
    q = _quote(rng, w)
    k = rng.randrange(8)
    if k == 0:
        return Turn("letters", rng.choice(("Reverse the word {}.", "Write {} backwards.", "Spell {} backwards.", "What is {} in reverse?")).format(q), w[::-1])
    if k == 1:
        return Turn("letters", rng.choice(("How many letters are in {}?", "How many letters does {} have?", "Count the letters in {}.", "How long is the word {}?")).format(q), num=len(w))
    if k == 2:
        return Turn("letters", rng.choice(("What is the first letter of {}?", "Which letter does {} start with?", "First letter of {}?")).format(q), w[0])
    if k == 3:
        return Turn("letters", rng.choice(("What is the last letter of {}?", "Which letter does {} end with?", "Last letter of {}?")).format(q), w[-1])
    if k == 4:
        return Turn("letters", rng.choice(("Write {} in upper case.", "Make {} upper case.", "Put {} in capital letters.", "Convert {} to uppercase.")).format(q), w.upper())
    if k == 5:
        return Turn("letters", rng.choice(("Write {} in lower case.", "Make {} lower case.", "Put {} in small letters.", "Convert {} to lowercase.")).format(q.upper()), w)
    if k == 6:
        return Turn("letters", rng.choice(("Spell {}.", "Spell the word {}.", "How do you spell {}?", "Spell {} letter by letter.")).format(q), "-".join(w))
    c = rng.choice(w) if rng.random() < 0.8 else rng.choice("aeiourstln")
    return Turn("letters", rng.choice(("How many times does the letter {c} occur in {q}?", "How many {c}'s are in {q}?", "Count the letter {c} in {q}.")).format(c=c, q=q), num=w.count(c))


def t_alphabet(rng, split):
    i = rng.randrange(1, 25)
    c = "abcdefghijklmnopqrstuvwxyz"
    d = rng.choice((c, c.upper()))
    k = rng.randrange(4)
    if k == 0:
        return Turn("alphabet", rng.choice(("Which letter comes after {}?", "What letter comes after {}?", "Which letter follows {} in the alphabet?")).format(d[i]), d[i + 1])
    if k == 1:
        return Turn("alphabet", rng.choice(("Which letter comes before {}?", "What letter comes before {}?", "Which letter is before {} in the alphabet?")).format(d[i]), d[i - 1])
    if k == 2:
        return Turn("alphabet", rng.choice(("What is letter number {} of the alphabet?", "Which is letter {} of the alphabet?")).format(i + 1), c[i])
    return Turn("alphabet", rng.choice(("Say the alphabet.", "Write the alphabet.", "Recite the alphabet.", "What is the alphabet?")), " ".join(c))


def t_repeat(rng, split):
    k = rng.randrange(4)
    if k == 0:
        w, n = rng.choice(WORDS), rng.randint(2, 6)
        return Turn("repeat", rng.choice(("Repeat the word {w} {n} times.", "Write {w} {n} times.", "Say {w} {n} times.")).format(w=_quote(rng, w), n=n), " ".join([w] * n))
    if k == 1:
        xs = _some_words(rng, split, "rep", 3, 10)
        t = rng.choice((" ", ", ")).join(xs)
    elif k == 2:
        xs = _some_words(rng, split, "repu", 1, 4) + rng.sample(UNICODE, rng.randint(1, 4))
        rng.shuffle(xs)
        t = " ".join(xs)
    else:
        t = keyed(rng, split, lambda g: (lambda n: (("repn", n), n))(str(g.randrange(10 ** g.randint(3, 8)))))
    return Turn("repeat", rng.choice(("Repeat after me: {}", "Repeat this: {}", "Say: {}", "Echo: {}", "Copy this text: {}")).format(t), t)


def t_count(rng, split):
    k = rng.randrange(4)
    if k == 0:
        a, n = rng.randrange(0, 60), rng.randint(4, 30)
        return Turn("count", rng.choice(("Count from {} to {}.", "Please count from {} to {}.", "List the numbers from {} to {}.")).format(a, a + n), items=list(range(a, a + n + 1)))
    if k == 1:
        a, n = rng.randrange(12, 60), rng.randint(4, 12)
        return Turn("count", rng.choice(("Count down from {} to {}.", "Count backwards from {} to {}.")).format(a, a - n), items=list(range(a, a - n - 1, -1)))
    if k == 2:
        a = rng.randint(2, 12)
        return Turn("count", rng.choice(("Write the times table of {}.", "Give me the {} times table.", "Show the multiplication table of {}.")).format(a),
                    "\n".join(f"{i} x {a} = {i * a}" for i in range(1, 11)), style=False)
    a = rng.randrange(0, 999)
    if rng.random() < 0.5:
        return Turn("count", rng.choice(("What number comes after {}?", "Which number follows {}?", "What comes after {}?")).format(a), num=a + 1)
    return Turn("count", rng.choice(("What number comes before {}?", "Which number is before {}?", "What comes before {}?")).format(a + 1), num=a)


def t_number_forms(rng, split):
    n = keyed(rng, split, lambda g: (lambda n: (("form", n), n))(number(g, g.choice((1, 2, 2, 3)))))
    n = max(n, 1)
    k = rng.randrange(4)
    if k == 0:
        return Turn("number_forms", rng.choice(("Write {} in words.", "Spell out the number {}.", "How do you say {} in words?")).format(n), in_words(n), style=False)
    if k == 1:
        return Turn("number_forms", rng.choice(("Write {} as a Roman numeral.", "What is {} in Roman numerals?", "Convert {} to Roman numerals.")).format(n), roman(n), style=False)
    if k == 2:
        return Turn("number_forms", rng.choice(("Write {} in digits.", "Write {} as a number.", "What number is {}?")).format(in_words(n)), num=n)
    return Turn("number_forms", rng.choice(("What number is the Roman numeral {}?", "Write {} in digits.", "What is {} as a number?")).format(roman(n)), num=n)


def t_capitals(rng, split):
    c = rng.choice(list(CAPITALS))
    k = CAPITALS[c]
    if rng.random() < 0.75:
        f = rng.choice(("What is the capital of {c}?", "Capital of {c}?", "Tell me the capital of {c}.", "What's the capital of {c}?", "What is the capital city of {c}?",
                        "Which city is the capital of {c}?", "Name the capital of {c}.", "Do you know the capital of {c}?"))
    else:
        f = rng.choice(("{k} is the capital of which country?", "Of which country is {k} the capital?", "Which country has the capital {k}?"))
    return Turn("capitals", f.format(c=c, k=k), f"The capital of {c} is {k}.")


def t_facts(rng, split):
    f = rng.choice(FACTS)
    return Turn("facts", rng.choice(f[1:]), f[0])


def t_calendar(rng, split):
    L, what = (DAYS, "day") if rng.random() < 0.5 else (MONTHS, "month")
    i = rng.randrange(len(L))
    n, p = L[(i + 1) % len(L)], L[(i - 1) % len(L)]
    k = rng.randrange(4)
    if k == 0:
        return Turn("calendar", rng.choice(("Which {} comes after {}?", "What {} comes after {}?", "Which {} follows {}?")).format(what, L[i]), f"{n} comes after {L[i]}.")
    if k == 1:
        return Turn("calendar", rng.choice(("Which {} comes before {}?", "What {} comes before {}?", "Which {} is before {}?")).format(what, L[i]), f"{p} comes before {L[i]}.")
    if k == 2 and what == "day":
        return Turn("calendar", rng.choice(("If today is {}, what day is tomorrow?", "Today is {}. What day is tomorrow?")).format(L[i]), f"Tomorrow is {n}.")
    if k == 3 and what == "day":
        return Turn("calendar", rng.choice(("If today is {}, what day was yesterday?", "Today is {}. What day was yesterday?")).format(L[i]), f"Yesterday was {p}.")
    o = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth").split()[i]
    unit = "week" if what == "day" else "year"
    return Turn("calendar", rng.choice(("What is the {o} {w} of the {u}?", "Which {w} is the {o} of the {u}?")).format(o=o, w=what, u=unit),
                f"The {o} {what} of the {unit} is {L[i]}.")


def t_chat(rng, split):
    c = rng.choice(CHAT)
    return Turn("chat", rng.choice(c[1:]), c[0])


def t_unknown(rng, split):
    q = rng.choice(UNKNOWN).format(w=rng.choice(WORDS), c=rng.choice(list(CAPITALS)), y=rng.randrange(1500, 2030), t=rng.choice(CITIES),
                                   u=rng.choice(("Lyon", "Porto", "Milan", "Leeds", "Graz", "Basel")), n=rng.choice(NAMES), s=invented(rng) + rng.choice(("", "son", "man", "berg")),
                                   f=invented(rng) + rng.choice(("", "ia", "land", "stan", "ora")))
    return Turn("unknown", q, UNKNOWN_ANSWER)


def t_untold(rng, split):
    return Turn("untold", rng.choice(("What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "What is my favourite colour?",
                                      "What is my number?", "Where do I live?", "What is my favourite food?", "How old am I?", "What is my age?",
                                      "What is the name of my {}?".format(rng.choice(ANIMALS)), "What is the secret code?", "What is the magic word?")), "You have not told me that.")


STORY = dict(
    open=["Once upon a time there was a {adj} {an} named {n}.", "Long ago, a {adj} {an} named {n} lived near a {pl}.",
          "There was once a {adj} {an} called {n}.", "In a {adj2} {pl} lived a {an} named {n}."],
    home=["{n} lived in a {adj2} house near the {pl} and loved {food}.", "Every day {n} walked to the {pl} to look for {food}.",
          "{n} had a {col} {ob} and was very proud of it."],
    event=["One morning {n} lost the {col} {ob} and was very sad.", "One day a storm came, and {n} had to hide under a tree.",
           "One evening {n} found a {col} {ob} beside the path.", "Then, one day, {n} heard a strange sound behind the {pl}."],
    friend=["A {an2} named {m} came by and asked, \"What is the matter, {n}?\"", "There {n} met {m}, a friendly {an2}, who wanted to help.",
            "{m} the {an2} saw this and said, \"Do not worry, {n}, I will help you.\""],
    act=["Together {n} and {m} looked everywhere, from the {pl} to the {pl2}.", "{n} and {m} walked all day and talked about {food} and the stars.",
         "They followed the path to the {pl2} and did not give up.", "{m} had a good idea, and the two of them began to work."],
    turn=["At last they found what they were looking for under a {adj2} stone.", "In the end the sun came out again and everything was well.",
          "After a while they came to a door, and behind it was a great surprise.", "Suddenly {m} laughed, because the answer was very simple."],
    close=["{n} thanked {m}, and they shared some {food} for dinner.", "From that day on {n} and {m} were the best of friends.",
           "{n} went home happy and slept well that night.", "And so {n} learned that a good friend is worth more than gold."])


def story(rng, animal, name):
    an2 = rng.choice([a for a in ANIMALS if a != animal])
    pl, pl2 = rng.sample(["river", "forest", "hill", "lake", "village", "garden", "sea", "meadow"], 2)
    d = dict(adj=rng.choice(("small", "brave", "clever", "kind", "happy", "young", "little")), adj2=rng.choice(("quiet", "green", "warm", "big")),
             an=animal, an2=an2, n=name, m=rng.choice([x for x in NAMES if x != name]), pl=pl, pl2=pl2,
             col=rng.choice(COLOURS[:9]), ob=rng.choice(("hat", "ball", "bell", "book", "key", "lamp", "kite", "ring")),
             food=rng.choice(FOODS))
    parts = ["open", "home", "event", "friend", "act", "turn", "close"]
    s = " ".join(rng.choice(STORY[p]).format(**d) for p in parts)
    for v in "aeiou":
        s = s.replace(f" a {v}", f" an {v}").replace(f"A {v}", f"An {v}")
    return s


def t_story(rng, split):
    an, n = rng.choice(ANIMALS), a_name(rng, 0.15)
    f = rng.choice(("Tell me a story about a {a} named {n}.", "Write a short story about a {a} named {n}.", "Tell a story about {n} the {a}.",
                    "Please tell me a story about a {a} called {n}.", "I want a story about a {a} named {n}.", "Tell me a story about a {a}.",
                    "Tell me a story.", "Write a story.", "Tell me a short story."))
    q = f.format(a=an, n=n)
    q = q.replace("a owl", "an owl")
    return Turn("story", q, story(rng, an, n), free=True, style=False)


def t_recall(rng, split, room=110):
    k = rng.randrange(4)
    top = max(2, min(16, room // 9))
    n = rng.randint(2, top)
    if k == 0:
        keys = rng.sample(WORDS, n)
        vals = [rng.randrange(10 ** rng.randint(1, 3)) for _ in keys]
        i = rng.randrange(n)
        t = ", ".join(f"{a} = {b}" for a, b in zip(keys, vals))
        q = rng.choice(("{t}. What is {k}?", "Remember: {t}. What is {k}?", "Here is a table: {t}. What is the value of {k}?", "Given {t}, what is {k}?"))
        return Turn("recall", q.format(t=t, k=keys[i]), num=vals[i])
    if k == 1:
        ns = rng.sample(NAMES, n)
        like = [rng.choice(FOODS + FRUITS + DRINKS) for _ in ns]
        i = rng.randrange(n)
        t = " ".join(f"{a} likes {b}." for a, b in zip(ns, like))
        return Turn("recall", rng.choice(("{t} What does {k} like?", "{t} Tell me what {k} likes.")).format(t=t, k=ns[i]), f"{ns[i]} likes {like[i]}.")
    if k == 2:
        ns = rng.sample(NAMES, n)
        num = [str(rng.randrange(1000, 10000)) for _ in ns]
        i = rng.randrange(n)
        t = "\n".join(f"{a}: {b}" for a, b in zip(ns, num))
        return Turn("recall", rng.choice(("Phone list:\n{t}\nWhat is the number of {k}?", "{t}\nWhich number has {k}?")).format(t=t, k=ns[i]), num=int(num[i]))
    ob = rng.sample(WORDS, n)
    col = [rng.choice(COLOURS) for _ in ob]
    i = rng.randrange(n)
    t = " ".join(f"The {a} is {b}." for a, b in zip(ob, col))
    return Turn("recall", rng.choice(("{t} What colour is the {k}?", "{t} Which colour has the {k}?")).format(t=t, k=ob[i]), f"The {ob[i]} is {col[i]}.")


def filler(rng):
    return f"The {rng.choice(ADJ)} {rng.choice(WORDS)} {rng.choice(VERBS)} the {rng.choice(ADJ)} {rng.choice(WORDS)}."


def t_needle(rng, split, room=300):
    """One to three facts hidden in filler text of about `room` tokens."""
    n = max(2, int((room - 60) / 11.5))
    n = rng.randint(max(2, n // 3), n)
    text = [filler(rng) for _ in range(n)]
    kinds = rng.sample(range(4), rng.randint(1, 3))
    qs = []
    for k in kinds:
        if k == 0:
            v = str(rng.randrange(1000, 100000))
            s, q, t = f"The secret code is {v}.", rng.choice(("What is the secret code?", "Tell me the secret code.")), Turn("needle", "", num=int(v))
        elif k == 1:
            w = rng.choice(WORDS)
            s, q, t = f"The magic word is {w}.", rng.choice(("What is the magic word?", "Which word is the magic word?")), Turn("needle", "", w)
        elif k == 2:
            a, c = a_name(rng), rng.choice(CITIES)
            s, q, t = f"{a} lives in {c}.", f"Where does {a} live?", Turn("needle", "", f"{a} lives in {c}.")
        else:
            a, c = a_name(rng), rng.choice(COLOURS)
            s, q, t = f"The favourite colour of {a} is {c}.", f"What is the favourite colour of {a}?", Turn("needle", "", f"The favourite colour of {a} is {c}.")
        text.insert(rng.randrange(len(text) + 1), s)
        qs.append((q, t))
    q, t = rng.choice(qs)
    body = " ".join(text)
    t.user = rng.choice(("Read this text.\n{b}\n{q}", "{b}\n\n{q}", "{b} {q}", "Text: {b}\nQuestion: {q}")).format(b=body, q=q)
    return t


SINGLE = dict(add=(t_add, 13), sub=(t_sub, 9), mul=(t_mul, 7), compare=(t_compare, 4), sort_numbers=(t_sort_numbers, 6), minmax=(t_minmax, 3),
              sort_words=(t_sort_words, 6), word_order=(t_word_order, 3), pick_word=(t_pick_word, 4), letters=(t_letters, 10), alphabet=(t_alphabet, 2),
              repeat=(t_repeat, 4), count=(t_count, 3), number_forms=(t_number_forms, 4), capitals=(t_capitals, 6), facts=(t_facts, 6),
              calendar=(t_calendar, 4), chat=(t_chat, 6), unknown=(t_unknown, 6), untold=(t_untold, 1.5), story=(t_story, 3), recall=(t_recall, 8))
_NAMES = list(SINGLE)
_WEIGHTS = [SINGLE[n][1] for n in _NAMES]


def question(rng, split, task=None, room=200):
    task = task or rng.choices(_NAMES, _WEIGHTS)[0]
    if task == "needle":
        t = t_needle(rng, split, room)
    elif task == "recall":
        t = t_recall(rng, split, room)
    else:
        t = SINGLE[task][0](rng, split)
    if task not in ("repeat", "recall", "needle", "letters", "alphabet"):
        t.user = noise(rng, t.user, task in ("capitals", "facts", "calendar", "chat", "untold"))
    return t
