"""Numbers, names and counts in words, for every sentence a page prints."""

import re
from collections.abc import Sequence

from study.analysis.multiple_testing import ALPHA
from study.results.comparisons import ColumnSummary, Difference
from study.results.findings import GridFindings

CLASS_NAMES = {"mixed": "seeds disagree"}  # of classes of arms that are not called what they are
LEAST_SHOWN = 0.0005  # a share: below 0.05 points a difference is shown as 0.0
LONGEST_NAME, LONGEST_NAME_WORDS = 40, 8  # of an arm in a sentence: two of them and their sentence fit 25 words
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def count_of(count: int, what: str) -> str:
    """Return `1 arm` or `2 arms`: a number with a noun that agrees with it."""
    return f"{count} {noun(count, what)}"


def noun(count: int, what: str) -> str:
    """Return a noun, the last of its words, in the number that `count` asks for: `1 study`, `2 studies`, `2 batches`."""
    if count == 1:
        return what
    if what.endswith("y") and what[-2:-1] not in "aeiou":
        return f"{what[:-1]}ies"
    return what + ("es" if what.endswith(("s", "x", "sh", "tch")) else "s")


def agree(count: int, singular: str, plural: str) -> str:
    """Return the form of a verb or pronoun that `count` asks for."""
    return singular if count == 1 else plural


def in_words(count: int) -> str:
    """Return a count as a word up to twelve, and in figures beyond; 0 is `no`."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else str(count)


def spelled(count: int, what: str) -> str:
    """Return `six settings`, `one setting` or `13 settings`."""
    return f"{in_words(count)} {noun(count, what)}"


def capitalised(text: str) -> str:
    """Return a sentence with a capital first letter where it begins with a number in words; a Greek letter stays."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def name_of(label: str) -> str:
    """Return an arm's label, cut where a sentence has no room for it."""
    words = label.split()
    cut = " ".join(words[:LONGEST_NAME_WORDS])[:LONGEST_NAME].rstrip(" ,")
    return label if len(words) <= LONGEST_NAME_WORDS and len(label) <= LONGEST_NAME else f"{cut}…"


def listed(names: Sequence[str], *, word: str = "and") -> str:
    """Return `a`, `a and b` or `a, b and c`; names that have a comma of their own are parted by a semicolon."""
    if len(names) < 2:
        return "".join(names)
    comma = "; " if any("," in name for name in names) and len(names) > 2 else ", "
    return f"{comma.join(names[:-1])} {word} {names[-1]}"


def first_of(names: Sequence[str], most: int = 6) -> str:
    """Return names as a list, those beyond `most` as a number."""
    comma = "; " if any("," in name for name in names) else ", "
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return comma.join(names[:most]) + more


def signed(share: float) -> str:
    """Return a share as percentage points with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def points(share: float) -> str:
    """Return a share as `1 point` or `2.5 points`: an amount without a sign."""
    text = f"{100 * share:.{1 if share >= 0.001 else 2}f}".rstrip("0").rstrip(".")
    return f"{text} {'point' if text == '1' else 'points'}"


def percent(column: ColumnSummary) -> str:
    """Return a mean share in percent, with its standard deviation over seeds where there is one."""
    spread = "" if column.sd is None else f" ± {100 * column.sd:.1f}"
    return f"{100 * column.mean:.1f}{spread} %"


def interval_of(difference: Difference, confidence: str = "95 %") -> str:
    """Return a difference with its interval, which a study with several looks has at more than 95 %; or why it has none."""
    mean = f"{signed(difference.mean)} points"
    if difference.low is None or difference.high is None:
        return f"{mean}, {'the same at every seed' if difference.n > 2 else f'n = {difference.n}'}"
    return f"{mean}, {confidence} interval {signed(difference.low)} to {signed(difference.high)}"


def probe_name(probe: str) -> str:
    """Return what readers call a probe."""
    if probe == "linear_cached":
        return "linear probe on cached features"
    return "linear probe on augmented images" if probe == "linear" else probe.replace("knn_", "k-NN, k = ")


def explained(grid: GridFindings | None) -> str:
    """Return the term that explains most of the variance over a grid's runs, where its effect is clear."""
    effects = grid.anova.effects if grid and grid.anova else ()
    clear = [effect for effect in effects if effect.p < ALPHA]
    if not clear:
        return ""
    most = max(clear, key=lambda effect: effect.share)
    return f"{capitalised(most.term.replace(' x ', ' × '))} explains {100 * most.share:.0f} % of the variance."


def word_count(text: str) -> int:
    """Return how many words a text has; a number, a symbol and an operator are a word each."""
    return len(text.split())


def within(sentences: Sequence[str], most: int) -> str:
    """Return the sentences, the most important first, that fit into `most` words together; the first always stays."""
    kept: list[str] = []
    for one in sentences:
        if one and (not kept or word_count(" ".join([*kept, one])) <= most):
            kept.append(one)
    return " ".join(kept)


def in_terms_of_methods(text: str) -> str:
    """Return a sentence on settings as one on methods, which a study of methods compares."""
    for word, method in (("settings", "methods"), ("Settings", "Methods"), ("setting", "method"), ("Setting", "Method")):
        text = re.sub(rf"\b{word}\b", method, text)
    return text
