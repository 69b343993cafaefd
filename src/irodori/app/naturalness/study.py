"""What a study consists of, and the questions that it asks of a person."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from irodori.app.naturalness.plan import check_places, plan
from irodori.app.naturalness.settings import Settings

Kind = Literal["photograph", "hues", "card"]
"""What a question is about: a photograph in a method, or one of two attention checks."""


@dataclass(frozen=True)
class Question:
    """One step of a person's study.

    kind: "hues" is a photograph in absurd hues, beside the true one in pairs; "card" a picture that
    says which answer to give. photograph, method: their numbers; of a check its own number, and 0.
    first: in pairs, whether the picture in question, and not the true one, is the first.
    """

    kind: Kind
    photograph: int
    method: int
    first: bool

    def answer(self, choice: int, pairs: bool) -> bool:
        """What a choice of the first (0) or the second (1) button means.

        Returns:
            Of a photograph, whether it was judged natural, or taken for the real one; of a check,
            whether it was passed.
        """
        if pairs:
            taken = (choice == 0) == self.first
            return not taken if self.kind == "hues" else taken
        return choice == 0 if self.kind == "hues" else choice == 1


@dataclass(frozen=True)
class Study:
    """All that is fixed before anybody answers.

    name: a random one, for browsers that see several studies. seed: of plans. methods: names; the
    first is TRUTH. photographs: names. count: photographs that each person sees. hues, cards:
    attention checks of each kind for each person.
    """

    name: str
    seed: int
    settings: Settings
    methods: tuple[str, ...]
    photographs: tuple[str, ...]
    count: int
    hues: int
    cards: int

    @property
    def judged(self) -> tuple[int, ...]:
        """Numbers of the methods that are asked about: in pairs, truth is beside all of them."""
        return tuple(range(int(self.settings.pairs), len(self.methods)))

    @property
    def steps(self) -> int:
        """Questions of each person."""
        return self.count + self.hues + self.cards

    def questions(self, person: int) -> list[Question]:
        """What a person is asked, in this order."""
        judged = self.judged
        shown = [
            Question("photograph", one.photograph, judged[one.method], one.first)
            for one in plan(person, len(self.photographs), len(judged), self.count, self.seed)
        ]
        # Both kinds in turn, as far as there are both.
        checks: list[tuple[Kind, int]] = []
        for number in range(max(self.hues, self.cards)):
            checks += [("hues", number)] if number < self.hues else []
            checks += [("card", number)] if number < self.cards else []
        places = check_places(person, self.steps, len(checks), self.seed)
        for place, (kind, number) in zip(places, checks, strict=True):
            shown.insert(place, Question(kind, number, 0, (person + place) % 2 == 0))
        return shown

    def described(self) -> dict[str, Any]:
        """As plain types, for `study_of`."""
        return asdict(self)


def study_of(described: dict[str, Any]) -> Study:
    """The study that was described."""
    return Study(
        **{
            **described,
            "settings": Settings(**described["settings"]),
            "methods": tuple(described["methods"]),
            "photographs": tuple(described["photographs"]),
        }
    )


def checks_per_person(settings: Settings, count: int) -> tuple[int, int]:
    """Attention checks of absurd hues, and cards, for a person who sees so many photographs.

    In pairs there are no cards: the side of the true picture is random as it is.
    """
    checks = round(settings.checks * count)
    hues = checks if settings.pairs else (checks + 1) // 2
    return hues, checks - hues
