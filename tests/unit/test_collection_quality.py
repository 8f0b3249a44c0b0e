"""What is repaired, what is dropped and why, and what is left as it was."""

import pyarrow as pa
import pytest

from selfj.collection.quality import REASONS, Quality, clean
from selfj.errors import ConfigError

GOOD = "What is the difference between a moth and a butterfly?"


def cleaned(instruction: str | None, reference: str | None = "An answer.", **settings: object) -> dict[str, object]:
    raw = pa.table(
        {
            "source": ["s"],
            "position": pa.array([7], pa.int64()),
            "instruction": pa.array([instruction], pa.string()),
            "reference": pa.array([reference], pa.string()),
            "category": pa.array([None], pa.string()),
            "error": pa.array([None], pa.string()),
        }
    )
    (row,) = clean(raw, Quality(**settings)).to_pylist()
    return row


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("Why donâ€™t planes fall in a cafÃ©?", "Why don’t planes fall in a café?"),
        ("Who built the 1935Â\xa0Labor Day monument?", "Who built the 1935 Labor Day monument?"),
        ("Translate this to English: ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Translate this to English: Привет"),
        ("Is this twice wrong: cafÃƒÂ©s and bars?", "Is this twice wrong: cafés and bars?"),
        ("Where is the cafe\u0301 of the town?", "Where is the caf\u00e9 of the town?"),
        ("What is\x00 a nu\x07ll byte?", "What is a null byte?"),
        ("What is\u200b a zero\ufeff width\u00ad space?", "What is a zero width space?"),
        ("First line of it.\r\nSecond\rthird\u2028fourth one", "First line of it.\nSecond\nthird\nfourth one"),
        ("  \n\n What is a moth?\t\n ", "What is a moth?"),
        ("A list of two things:   \n- one thing \n- two things", "A list of two things:\n- one thing\n- two things"),
        ("She has six  apples and  eats two. How many?", "She has six apples and eats two. How many?"),
        ("Write about bees.\n\n\n\n\n\nAnd wasps.", "Write about bees.\n\n\nAnd wasps."),
        ("What\u00a0is\u2009a\u3000moth?", "What is a moth?"),
        ("Is 3 &lt; 4 &amp;amp; 5 &gt; 4 in arithmetic&#63;", "Is 3 < 4 & 5 > 4 in arithmetic?"),
        ("<p>What is <b>gold</b>?<br>Tell me.</p>", "What is gold?\nTell me."),
        ("Name <i>three</i> kinds of cheese.", "Name three kinds of cheese."),
        (
            "<p>How do I close a file?</p>\n<pre><code>if a &lt; b:\n    f()\n</code></pre>\n<p>In <code>C</code>.</p>",
            "How do I close a file?\n\n```\nif a < b:\n    f()\n```\n\nIn `C`.",
        ),
        ("Ã–sterreich is where, and how warm (Â°C) is it?", "Österreich is where, and how warm (°C) is it?"),
        ("What is 10<sup>3</sup> times two in words?", "What is 10^3 times two in words?"),
    ],
)
def test_repairs(broken: str, whole: str):
    row = cleaned(broken)
    assert row["instruction"] == whole
    assert row["error"] is None
    assert cleaned(GOOD, broken)["reference"] == whole


UNTOUCHED = [
    GOOD,
    "What does <p> mean in HTML, and &nbsp; too?",
    "Write a web page.\n\n<div class='a'>\n  <p>Hello</p>\n</div>",
    "def f(x):\n    if x  <  3:\n        return  x\n\n\n    return [y  for y in x]",
    "Explain this code.\n\n```\na   =  1   \n\n\n\n\nb = 2\n```",
    "Compute \\[\\frac{1}{2}  +  \\sqrt{x^2 + y^2}.\\]",
    "Compute $\\sin 20^\\circ \\sin 40^\\circ \\sin 60^\\circ \\sin 80^\\circ \\sin 100^\\circ \\sin 120^\\circ$.",
    "((-1 + 5 * 4 + 9) - (-7 - 6 * -8 - 0)) =",
    "What is the 100th term of the sequence 6, 10, 14, 18, ...?",
    "Complete the poem.\n\nTyger Tyger, burning bright,\n    In the forests of the night;\n        What immortal hand",
    "Sort these names: Jürgen Müller, Zoë, Łukasz, Nguyễn Ánh, François, Søren, İbrahim.",
    'Is "« CAFÉ»" written as the French write it?',
    "Pick the right one: A × B, Ñandú, ÅNGSTRÖM or ÎLE?",
    "Translate to English: Il fait beau aujourd'hui et nous sommes contents.",
    "Which is larger, 1.234.567,89 or 4111 1111 1111 1112?",
    "Ping 192.168.1.1 and 127.0.0.1 from version 2.10.3.44 of the tool.",
    "Copy a file with scp to user@example.com:/home/user and clone git@host.org:a/b.git",
    "Is 123-45-67890 a number, or 2023-01-15, or 555-1234-1234?",
    "What family emoji is 👨\u200d👩\u200d👧 and how many people?",
    "Update all packages",
    "Uninstall `rustup`",
    "PyQt QPushButton Background color",
    "Is juvenile polyposis syndrome inherited ?",
    "Which of the following is a fruit?\n\nA. Apple\nB. Carrot",
    "Find the sum of the following numbers: 1, 2, 3.",
    "What happened in the following year of the war?",
    "Edit the sentence below.\n\nHe go home.",
    "Getting a particular portion of an image (picture)",
    "How do I use <Image> in React Native?",
    "All cats are mammals. Is this sentence true?",
    "Write a function to sort the given list.",
    "What is a blood count of 25.0 × 103/mcL?",
    "The plane of earth's orbit is called the",
    "Generate a story, set on a deserted island,",
    "Count the letters.\n\nLorem ipsum dolor sit amet, consectetur adipiscing elit.",
    "Log in to a container registry",
    "Write an advertisement for a toy, with “click here” as its last words.",
    "Output 0 0 0 1 0 0 as a list of numbers without the zeros",
]


@pytest.mark.parametrize("good", UNTOUCHED)
def test_good_rows_stay_as_they_are(good: str):
    row = cleaned(good, good)
    assert row["error"] is None
    assert row["instruction"] == good
    assert row["reference"] == good
    assert row["masked"] == 0
    assert row["position"] == 7


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("", "empty_instruction"),
        (None, "empty_instruction"),
        (" \u200b\n\t\u00a0", "empty_instruction"),
        ("word " * 1600, "too_long"),
        ("Tell me " + "ab" * 5000, "too_long"),
        ("whisk", "too_short"),
        ("a b", "too_short"),
        ("!!!??? ((( ))) *** a b ---- ++++ ####", "mostly_symbols"),
        ("[deleted]", "too_short"),
        ("[removed by moderator]", "boilerplate"),
        ("This website uses cookies to ensure you get the best experience.", "boilerplate"),
        ("Click here to subscribe to our newsletter!", "boilerplate"),
        ("Please enable JavaScript to view this page.", "boilerplate"),
        ("buy now buy now buy now buy now buy now buy now buy now buy now buy now", "repetition"),
        ("Why is " + "aaaaaaaaaa" * 8, "repetition"),
        ("Tell me about it: " + "one two three four five six seven eight nine ten eleven. " * 60, "repetition"),
        ("Wie schreibt man einen Brief an eine Behörde, wenn man nicht weiß, wer sie liest?", "wrong_language"),
        ("Quelle est la différence entre un papillon et une mite dans la nature ?", "wrong_language"),
        ("¿Cuál es la diferencia entre una mariposa y una polilla en la noche?", "wrong_language"),
        ("Какая разница между бабочкой и мотыльком?", "wrong_language"),
        ("蝴蝶和飞蛾有什么区别？请解释一下。", "wrong_language"),
        ("蝶と蛾の違いは何ですか。説明してください。", "wrong_language"),
        ("ما الفرق بين الفراشة والعثة في الطبيعة؟", "wrong_language"),
        ("Fix this code.\n\n```\ndef f(x):\n    return x", "truncated"),
        ("The history of the town is long and it is [truncated]", "truncated"),
        ("What is this?", "not_standalone"),
        ("Can you explain it please?", "not_standalone"),
        ("Summarize the following passage.", "not_standalone"),
        ("Answer the question below:", "not_standalone"),
        ("What does the passage above say about bees?", "not_standalone"),
        ("Describe what you see in this photo.\n\n<Photo Attached>", "not_standalone"),
        ("How to create tabs like the image below?", "not_standalone"),
        ("Edit this sentence so that it follows the rules of grammar.", "not_standalone"),
        ("Add two new characters to the given story.", "not_standalone"),
    ],
)
def test_reasons(bad: str | None, reason: str):
    assert cleaned(bad)["error"] == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    "empty", ["", "  ", "N/A", "n/a.", "[deleted]", "<No output>", "To be completed.", "---", "?", "…", "ï¿½", "TBD"]
)
def test_a_reference_that_says_nothing_is_null(empty: str):
    row = cleaned(GOOD, empty)
    assert row["reference"] is None
    assert row["error"] is None
    assert cleaned(GOOD, empty, bad_reference="drop")["error"] == "bad_reference"


@pytest.mark.parametrize("short", ["5", "None", "no", "> ]", "[]", "'", "null", "C", "nan", "\\d+"])
def test_a_short_reference_may_be_right(short: str):
    assert cleaned(GOOD, short)["reference"] == short
    assert cleaned(GOOD, short, bad_reference="drop")["error"] is None


def test_a_missing_reference_is_not_bad():
    row = cleaned(GOOD, None, bad_reference="drop")
    assert (row["reference"], row["error"]) == (None, None)


def test_a_long_reference_drops_the_row():
    assert cleaned(GOOD, "ab cd " * 5000)["error"] == "reference_too_long"
    assert cleaned(GOOD, "different words here")["error"] is None


PERSONAL = [
    ("Write to jane.carter85@gmail.com about it.", "Write to [EMAIL] about it."),
    ("My number is (415) 273-1234, call me.", "My number is [PHONE], call me."),
    ("My number is 727-326-0913, call me.", "My number is [PHONE], call me."),
    ("Call +49 30 90182431 or +27 82 883 9920 now.", "Call [PHONE] or [PHONE] now."),
    ("Is my card 4539 1488 0343 6467 valid?", "Is my card [CREDIT_CARD] valid?"),
    ("Send it to DE89 3704 0044 0532 0130 00 please.", "Send it to [IBAN] please."),
    ("My social security number is 536-22-1234, is it safe?", "My social security number is [SSN], is it safe?"),
    ("Who owns the address 173.194.33.71 today?", "Who owns the address [IP] today?"),
    ("Are 3509 1088 0303 0007 32.0.1.1 two things?", "Are [CREDIT_CARD] [IP] two things?"),
    ("Who owns 2001:4860:4860:0:0:0:0:8844 today?", "Who owns [IP] today?"),
]


@pytest.mark.parametrize(("text", "hidden"), PERSONAL)
def test_personal_data_is_masked_dropped_or_kept(text: str, hidden: str):
    row = cleaned(text, text)
    assert (row["instruction"], row["reference"], row["error"]) == (hidden, hidden, None)
    assert row["masked"] == 2 * hidden.count("[")
    assert cleaned(text, personal_data="drop")["error"] == "personal_data"
    kept = cleaned(text, personal_data="keep")
    assert (kept["instruction"], kept["masked"], kept["error"]) == (text, 0, None)
    assert cleaned(text, personal=())["instruction"] == text


@pytest.mark.parametrize(
    "harmless",
    [
        "4111 1111 1111 1112",
        "4539 1488 0343 6468",
        "DE89 3704 0044 0532 0130 01",
        "000-22-1234",
        "10.1.2.3 and 8.8.8.8",
        "me@example.org and foo@bar.com",
        "1-800-633-4227",
        "x = 2125551234 * 3",
        "3.14159265358979",
        "1234567890123456",
        "12:34:56 on 2020-12-24",
        "the mod is package@1.2.3 in npm",
        "icon@2x.png",
    ],
)
def test_numbers_and_code_are_no_personal_data(harmless: str):
    row = cleaned(f"Tell me about {harmless} in one line, please.")
    assert row["masked"] == 0
    assert harmless in row["instruction"]


def test_languages_can_be_chosen():
    german = "Wie schreibt man einen Brief an eine Behörde, wenn man nicht weiß, wer sie liest?"
    assert cleaned(german, languages=("en", "de"))["language"] == "de"
    assert cleaned(german, languages=("any",))["error"] is None
    assert cleaned(GOOD, languages=("de",))["error"] == "wrong_language"
    assert cleaned("x = 3 + y", languages=("de",))["error"] is None
    with pytest.raises(ValueError, match="any"):
        Quality(languages=())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Qual è la differenza tra una farfalla e una falena nella natura?", "it"),
        ("Qual é a diferença entre uma borboleta e uma mariposa? Explique para mim.", "pt"),
        ("Wat is het verschil tussen een vlinder en een mot? Leg uit.", "nl"),
        ("Jaka jest różnica między motylem a ćmą i dlaczego?", "pl"),
        ("Bir kelebek ile bir güve arasındaki fark nedir, nasıl anlarım?", "tr"),
        ("Sự khác biệt giữa bướm và ngài là gì?", "vi"),
        ("나비와 나방의 차이점은 무엇입니까?", "ko"),
        ("Ποια είναι η διαφορά μεταξύ πεταλούδας και σκόρου;", "el"),
        ("तितली और पतंगे में क्या अंतर है?", "hi"),
        ("Яка різниця між метеликом та міллю, і що їх об'єднує?", "uk"),
        ("فرق بین پروانه و شب‌پره چیست و چگونه است؟", "fa"),
        ("12 + 15 = ?", None),
    ],
)
def test_languages_are_named(text: str, language: str | None):
    row = cleaned(text, languages=("any",))
    assert row["language"] == language
    assert row["error"] is None
    assert row["instruction"] == text


def test_words_of_ones_own_are_toxic(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("# mine\nblorb\nfoul phrase\nüble (x)\n", encoding="utf-8")
    for text in ("Is a BLORB good for me?", "Say a foul phrase, please.", "Was ist üble (x) for you?"):
        assert cleaned(text, toxic=str(words), languages=("any",))["error"] == "toxic"
        assert cleaned(GOOD, text, toxic=str(words))["error"] == "toxic"
        assert cleaned(text, languages=("any",))["error"] is None
    assert cleaned("What are blorbs made of?", toxic=str(words))["error"] is None
    with pytest.raises(ConfigError, match="toxic"):
        cleaned(GOOD, toxic=str(tmp_path / "none.txt"))
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no word"):
        cleaned(GOOD, toxic=str(empty))


def test_filters_can_be_switched_off():
    off = {"min_chars": 0, "min_words": 0, "not_standalone": False, "boilerplate": False, "truncated": False}
    for text in ("whisk", "What is this?", "[removed by moderator]", "Fix it.\n\n```\nx"):
        assert cleaned(text, **off)["error"] is None


def test_html_can_be_kept_or_always_stripped():
    text = "What does <b>this</b> mean in HTML &amp; XML?"
    assert cleaned(text, html="keep")["instruction"] == text
    assert cleaned(text, html="strip")["instruction"] == "What does this mean in HTML & XML?"


def test_the_first_reason_counts():
    assert cleaned("Wie " * 9000)["error"] == "too_long"
    assert cleaned("?!")["error"] == "too_short"


def test_rows_with_an_error_pass_through():
    raw = pa.table(
        {
            "instruction": [" x ", GOOD, None],
            "reference": ["N/A", None, "a"],
            "error": ["unreadable", None, "unreadable"],
            "other": [1, 2, 3],
        }
    )
    first, second, third = clean(raw, Quality()).to_pylist()
    assert (first["instruction"], first["reference"], first["error"], first["other"]) == (" x ", "N/A", "unreadable", 1)
    assert (first["language"], first["masked"]) == (None, 0)
    assert (second["language"], second["error"], second["masked"]) == ("en", None, 0)
    assert (third["instruction"], third["error"]) == (None, "unreadable")


def test_the_schema_is_that_of_the_contract():
    raw = pa.table({"source": ["s"], "position": [0], "instruction": [GOOD], "reference": [None], "category": [None]})
    out = clean(raw, Quality())
    assert out.column_names == [
        "source",
        "position",
        "instruction",
        "reference",
        "category",
        "error",
        "language",
        "masked",
    ]
    types = {name: str(out.schema.field(name).type) for name in out.column_names}
    assert {types[name] for name in ("instruction", "reference", "error", "language")} == {"string"}
    assert types["masked"] == "int32"
    empty = clean(raw.slice(0, 0), Quality())
    assert empty.num_rows == 0
    assert empty.schema == out.schema


def test_a_page_about_html_loses_its_own_tags_only():
    row = cleaned("<p>What does the tag &lt;b&gt; do in HTML?</p>", "<p>It is <b>bold</b>.</p>")
    assert row["instruction"] == "What does the tag <b> do in HTML?"
    assert row["reference"] == "It is bold."
    row = cleaned("Write a bold word in HTML.", "<p><b>word</b></p>")
    assert row["reference"] == "<p><b>word</b></p>"
