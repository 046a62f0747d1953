"""The zoo: small builds of the models people train, by name."""

from tests.meta.zoo import batch_losses, changed_gradients, language, sequences, structure, vision
from tests.meta.zoo.entry import Entry

_FAMILIES = (vision, language, sequences, structure, batch_losses, changed_gradients)

ZOO: dict[str, Entry] = {name: entry for family in _FAMILIES for name, entry in family.ENTRIES.items()}
assert len(ZOO) == sum(len(family.ENTRIES) for family in _FAMILIES), "two entries of one name"
