"""What a text does with the names of prepared statements: PREPARE, DEALLOCATE, EXECUTE."""

from __future__ import annotations

from daypass.engines.contract import StatementFacts
from daypass.engines.postgres.relay_conversation import Conversation, Entry
from daypass.engines.postgres.relay_judge import of_prepare, resolved
from daypass.engines.postgres.relay_names import Definition, PreparedNames
from daypass.engines.postgres.relay_reading import Reading


def uncertain(reading: Reading, names: PreparedNames, epoch: int) -> bool:
    """Say whether a text names what an answer still to come decides about."""
    keys = [
        (each.prepares or each.executes or each.deallocates or "").encode()
        for each in reading.effects
    ]
    if any(each.deallocates == "" for each in reading.effects):
        keys += names
    return any(names.unsettled(key, epoch) for key in keys)


def change_names(
    entry: Entry, reading: Reading, origin: str, talk: Conversation
) -> tuple[tuple[StatementFacts, ...], str]:
    """Let a text's PREPARE and DEALLOCATE count, and see what its EXECUTE stands for.

    Returns the facts and the origin to write down.
    """
    names = talk.names
    made: list[tuple[int, Definition]] = []
    stand_for: dict[int, Reading] = {}
    for effect in reading.effects:
        if effect.prepares:
            inner = of_prepare(reading, effect.place)
            made.append((effect.place, names.define(effect.prepares.encode(), inner, talk.epoch)))
        if effect.executes:
            found = names.find(effect.executes.encode())
            if found is not None and found.reading is not None:
                stand_for[effect.place] = found.reading
        if effect.deallocates is not None:
            gone = [effect.deallocates.encode()] if effect.deallocates else list(names)
            made += [(effect.place, names.define(key, None, talk.epoch)) for key in gone]
    entry.definitions = made or None
    if not stand_for:
        return reading.statements, origin
    facts = resolved(reading.statements, stand_for)
    return facts, "execute" if len(facts) == 1 else origin
