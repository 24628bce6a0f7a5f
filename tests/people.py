"""Texts of many scripts for printed reports: names of all of Faker's locales, and what is hard to draw."""

from __future__ import annotations

from functools import cache

from faker import Faker
from faker.config import AVAILABLE_LOCALES

SEED = 20260329
_PROVIDERS = ["faker.providers.person", "faker.providers.address"]
_DEPRECATED = {"fr_QC"}
"""Another one has its names; to ask for them warns."""


@cache
def names(each: int = 6) -> tuple[str, ...]:
    """So many names, and a town, of each locale; the same each time."""
    found: list[str] = []
    for locale in sorted({*AVAILABLE_LOCALES} - _DEPRECATED):
        fake = Faker(locale, providers=_PROVIDERS)
        fake.seed_instance(SEED)
        found += [*(fake.name() for _ in range(each)), fake.city()]
    return tuple(found)


COMPOSED = {
    "mark raised above a last letter": "مصطفیٰ",
    "Arabic names with a last mark": "يحييٰ موسیٰ عليّ شكراً خانهٔ",
    "Arabic with all vowels": "بِسْمِ ٱللَّهِ ٱلرَّحْمَـٰنِ ٱلرَّحِيمِ مُحَمَّدٌ",
    "Quranic marks": "قُلۡ هُوَ ۖ ٱللَّهُ ۗ أَحَدٌ ۚ ۛ ۜ",
    "Arabic ligatures": "ﷺ ﷽ لا لله",
    "Persian": "می‌خواهم رضاییٔ پوراندخت ۱۲۳",
    "Hebrew with points": "שָׂרָה רִבְקָה בְּרֵאשִׁית יִשְׂרָאֵל",
    "Hebrew with accents": "בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים",
    "Thai": "ยุภา อุ่นอก น้ำทิพย์ ปู่ ญี่ปุ่น กู้ ฐ์",
    "Lao": "ສະບາຍດີ ນ້ຳ ຊື່ ຢູ່",
    "Khmer": "ខ្ញុំ ស្ត្រី ព្រះ ន្ត្រី សង្គ្រោះ ក្រ៊ុម",
    "Myanmar": "မြန္မာ ကျွန်ုပ် ကွျှန်ုပ် သတ္တဝါ စ္ဆွဲ",
    "Devanagari": "साळुंखे क्षत्रिय श्रीकृष्ण दुर्गेश्वर र्‍य",
    "Bengali": "শ্রীকৃষ্ণ রবীন্দ্রনাথ ঠাকুর ক্ষ্ম্য",
    "Tamil": "ஸ்ரீகிருஷ்ணன் கொழும்பு க்ஷௌ",
    "Telugu": "శ్రీకృష్ణ జ్ఞానేశ్వర్ స్త్రీ",
    "Kannada": "ಶ್ರೀಕೃಷ್ಣ ಕ್ಷ್ಮ್ಯ ಜ್ಞಾನ",
    "Malayalam": "ശ്രീകൃഷ്ണൻ ക്ഷ്മ്യ സ്ത്രീ",
    "Sinhala": "ශ්‍රී ලංකා ක්‍ෂේත්‍ර",
    "Tibetan, which no font has": "བོད་ཡིག ྃ",
    "Vietnamese in parts": "Nguye\u0302\u0303n Thi\u0323 Ho\u0302\u0300ng Đa\u0323\u0306ng",
    "Latin with marks on marks": "a\u0301\u0302\u0303 z\u0323\u0331\u0325 q\u0308\u0304\u030c",
    "Latin with marks without end": "Z\u0301\u0302\u0303\u0304\u0305\u0306\u0307a\u0316\u0317\u0318\u0319\u031c\u031d\u0323lgo",
    "the same mark many times": "e" + "\u0301" * 60,
    "marks without a letter": "\u0301 x \u0323",
    "a mark at the start": "\u0300abc",
    "only a mark": "\u0308",
    "an Arabic mark without a letter": "\u064e",
    "a Devanagari sign without a letter": "\u093f",
    "a Thai sign without a letter": "\u0e33",
    "a Khmer sign without a letter": "\u17d2",
    "a circle around nothing": "\u20dd",
    "circles around letters": "a\u20dd 王\u20dd i\u20e4",
    "emoji": "😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ 1️⃣ 🏳️‍🌈",
    "people joined without end": "\U0001f469\u200d" * 40 + "\U0001f467",
    "Chinese, Japanese, Korean": "王小明 山田太郎 ガ か\u3099 김민준 \u1112\u1161\u11ab",
    "ideographs without a width": "䆡䇨䗇䝭䬥 王",
    "both ways with numbers": "Anna שרה 123 (مصطفى) 456-789, v1.2 ב",
    "numbers in Arabic": "الرقم ١٢٣ و 456 - 789",
    "brackets from right to left": "(שלום) [عالم] {1}",
    "spaces at the end from right to left": "سلام" + " " * 80 + "س",
    "spaces at the end": "end" + " " * 200,
    "a long word": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 6,
    "a long Arabic word": "مستشفى" * 60,
    "a syllable wider than any column": "क्" * 120 + "ष",
    "a Tamil syllable wider than any column": "க்ஷ்" * 60,
    "parentheses": "(a)\\ )Tj ET (",
    "lines": "one\ntwo\u0301\u0301\u0301\u0301\nខ្ញុំស្ត្រី\nşĄ",
}
