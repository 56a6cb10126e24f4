"""The subject categories of ISTEX: four schemes, each a list of levels from the general to the specific.

Web of Science, Science-Metrix and Scopus classify the journal, Inist (Pascal and Francis) the article.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Biology and medicine in the four schemes. Where a whole branch belongs, its name is enough: every
#: document that has a category of Science-Metrix, Scopus or Inist also has those above it. The Web of
#: Science has one branch for all sciences, so its categories are named. Not here: Inist's "sciences
#: appliquees, technologies et medecines", which holds physics and engineering too.
BIOLOGY_AND_MEDICINE = (
    # Science-Metrix
    r"^health sciences$",
    r"^(clinical medicine|biomedical research|public health & health services)$",
    r"^biology$",
    r"^(biomedical engineering|biotechnology|bioinformatics|veterinary sciences)$",
    r"^(medicinal & biomolecular chemistry|forensic science)",
    # Scopus
    r"^(health|life) sciences$",
    r"^(medicine|nursing|dentistry|veterinary|health professions|neuroscience)$",
    r"^(immunology and microbiology|biochemistry, genetics and molecular biology)$",
    r"^(pharmacology, toxicology and pharmaceutics|agricultural and biological sciences)$",
    r"^(bioengineering|biomaterials|health informatics|health, toxicology and mutagenesis)",
    # Inist (Pascal)
    r"^sciences biologiques et medicales$",
    r"^sciences medicales$",
    r"^sciences biologiques fondamentales et appliquees",
    # Web of Science: medicine
    r"^medicine, |\bmedicine\b|^medical (ethics|informatics|laboratory)",
    r"^(surgery|pathology|oncology|hematology|dermatology|ophthalmology|orthopedics|rheumatology|pediatrics)$",
    r"^(psychiatry|rehabilitation|allergy|andrology|anesthesiology|transplantation|nursing|gerontology)$",
    r"^(otorhinolaryngology|audiology|respiratory system|peripheral vascular|cardiac & cardiovascular)",
    r"^(gastroenterology|endocrinology|urology & nephrology|obstetrics|geriatrics|infectious diseases)",
    r"^(clinical neurology|neuroimaging|radiology|substance abuse|sport sciences|nutrition & dietetics)",
    r"^(health (care|policy)|primary health|public, environmental & occupational health|social sciences, biomedical)",
    r"^(pharmacology|toxicology|chemistry, medicinal|engineering, biomedical|materials science, biomaterials)",
    r"^psychology, (biological|clinical)$",
    # Web of Science: biology
    r"\bbiology\b|^bio(chemi|physics|technology|diversity)",
    r"^(anatomy|physiology|genetics & heredity|immunology|microbiology|virology|mycology|parasitology)",
    r"^(neurosciences|behavioral sciences|cell & tissue engineering|microscopy)",
    r"^(zoology|entomology|ornithology|plant sciences|ecology|veterinary sciences|limnology)",
)

_NUMBER = re.compile(r"^\d+\s*-\s*")


def levels(strings: Iterable[str]) -> list[str]:
    """The names of all levels, each once.

    Args:
        strings: such as ``"2 - clinical medicine"``, or ``"1 - science ; 2 - surgery"`` for two levels.
    """
    parts = (part for text in strings for part in re.split(r"\s*;\s*", text))
    return list(dict.fromkeys(name for part in parts if (name := _NUMBER.sub("", part))))


class Categories:
    """A choice of categories.

    Args:
        patterns: regular expressions, to be found in the name of a level whatever its case and accents.

    Raises:
        re.error: one of them is none.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [re.compile(_unaccented(pattern), re.IGNORECASE) for pattern in patterns]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def __contains__(self, level: str) -> bool:
        plain = _unaccented(level)
        return any(pattern.search(plain) for pattern in self._patterns)


def _unaccented(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
