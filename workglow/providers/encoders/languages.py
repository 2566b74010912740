"""Languages, as those who speak of them and as models write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["KNOWN_LANGUAGES", "english_name", "own_code"]

KNOWN_LANGUAGES: Final = {
    "af": ("afr", "Afrikaans"), "am": ("amh", "Amharic"), "ar": ("arb ara", "Arabic"), "as": ("asm", "Assamese"),
    "az": ("azj aze", "Azerbaijani"), "be": ("bel", "Belarusian"), "bg": ("bul", "Bulgarian"),
    "bn": ("ben", "Bengali"), "bs": ("bos", "Bosnian"), "ca": ("cat", "Catalan"), "cs": ("ces", "Czech"),
    "cy": ("cym", "Welsh"), "da": ("dan", "Danish"), "de": ("deu", "German"), "el": ("ell", "Greek"),
    "en": ("eng", "English"), "eo": ("epo", "Esperanto"), "es": ("spa", "Spanish"), "et": ("est ekk", "Estonian"),
    "eu": ("eus", "Basque"), "fa": ("pes fas", "Persian"), "fi": ("fin", "Finnish"), "fr": ("fra", "French"),
    "ga": ("gle", "Irish"), "gd": ("gla", "Scottish Gaelic"), "gl": ("glg", "Galician"), "gu": ("guj", "Gujarati"),
    "ha": ("hau", "Hausa"), "he": ("heb", "Hebrew"), "hi": ("hin", "Hindi"), "hr": ("hrv", "Croatian"),
    "ht": ("hat", "Haitian Creole"), "hu": ("hun", "Hungarian"), "hy": ("hye", "Armenian"),
    "id": ("ind", "Indonesian"), "ig": ("ibo", "Igbo"), "is": ("isl", "Icelandic"), "it": ("ita", "Italian"),
    "ja": ("jpn", "Japanese"), "jv": ("jav", "Javanese"), "ka": ("kat", "Georgian"), "kk": ("kaz", "Kazakh"),
    "km": ("khm", "Khmer"), "kn": ("kan", "Kannada"), "ko": ("kor", "Korean"), "ku": ("kmr kur", "Kurdish"),
    "ky": ("kir", "Kyrgyz"), "lb": ("ltz", "Luxembourgish"), "lo": ("lao", "Lao"), "lt": ("lit", "Lithuanian"),
    "lv": ("lvs lav", "Latvian"), "mg": ("plt mlg", "Malagasy"), "mi": ("mri", "Maori"), "mk": ("mkd", "Macedonian"),
    "ml": ("mal", "Malayalam"), "mn": ("khk mon", "Mongolian"), "mr": ("mar", "Marathi"), "ms": ("zsm msa", "Malay"),
    "mt": ("mlt", "Maltese"), "my": ("mya", "Burmese"), "nb": ("nob", "Norwegian"), "ne": ("npi nep", "Nepali"),
    "nl": ("nld", "Dutch"), "nn": ("nno", "Norwegian Nynorsk"), "no": ("nob nor", "Norwegian"),
    "oc": ("oci", "Occitan"), "or": ("ory ori", "Odia"), "pa": ("pan", "Punjabi"), "pl": ("pol", "Polish"),
    "ps": ("pbt pus", "Pashto"), "pt": ("por", "Portuguese"), "ro": ("ron", "Romanian"), "ru": ("rus", "Russian"),
    "sd": ("snd", "Sindhi"), "si": ("sin", "Sinhala"), "sk": ("slk", "Slovak"), "sl": ("slv", "Slovenian"),
    "sn": ("sna", "Shona"), "so": ("som", "Somali"), "sq": ("als sqi", "Albanian"), "sr": ("srp", "Serbian"),
    "su": ("sun", "Sundanese"), "sv": ("swe", "Swedish"), "sw": ("swh swa", "Swahili"), "ta": ("tam", "Tamil"),
    "te": ("tel", "Telugu"), "tg": ("tgk", "Tajik"), "th": ("tha", "Thai"), "tk": ("tuk", "Turkmen"),
    "tl": ("tgl", "Tagalog"), "tr": ("tur", "Turkish"), "tt": ("tat", "Tatar"), "ug": ("uig", "Uyghur"),
    "uk": ("ukr", "Ukrainian"), "ur": ("urd", "Urdu"), "uz": ("uzn uzb", "Uzbek"), "vi": ("vie", "Vietnamese"),
    "xh": ("xho", "Xhosa"), "yi": ("ydd yid", "Yiddish"), "yo": ("yor", "Yoruba"), "zh": ("zho cmn", "Chinese"),
    "zu": ("zul", "Zulu"),
}  # fmt: skip
"""ISO 639-1 → codes of ISO 639-3, the one of the usual variety first, and the name in English."""


def english_name(code: str) -> str:
    """Return what English calls a language; the code itself when it is not known."""
    language = code.replace("_", "-").partition("-")[0].lower()
    return KNOWN_LANGUAGES[language][1] if language in KNOWN_LANGUAGES else code


def own_code(code: str, known: Iterable[str]) -> str | None:
    """Return a model's own code for a language, such as 'fra_Latn', 'fr_XX' or '>>fra<<' for 'fr'; None without one.

    A part for the script is minded: 'zh-Hant' finds 'zho_Hant'.
    """
    codes = list(known)
    if code in codes:
        return code
    language, _, variety = code.replace("_", "-").partition("-")
    wanted = [
        language.lower(),
        *(KNOWN_LANGUAGES[language.lower()][0].split() if language.lower() in KNOWN_LANGUAGES else ()),
    ]
    for name in wanted:
        found = [one for one in codes if _parts(one)[0] == name]
        if found:
            return next((one for one in found if variety and _parts(one)[1] == variety.lower()), found[0])
    return None


def _parts(code: str) -> tuple[str, str]:
    bare = code.strip("<>_").replace("_", "-").lower()
    language, _, rest = bare.partition("-")
    return language, rest
