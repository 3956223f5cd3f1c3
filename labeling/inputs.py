"""What a body may name."""

from typing import Any, ClassVar

from rest_framework import serializers


class KnownFieldsOnly(serializers.Serializer):
    """Refuses a body with a field it does not have: what stands under a wrong name would go unheard."""

    # What reading the same thing also tells: sent back as it was read, it does no harm.
    TOLD: ClassVar[frozenset[str]] = frozenset()
    NO_SUCH: ClassVar[str] = "There is no such field."

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields) - self.TOLD)
        if unknown:
            # Names are the caller's: what is said of them stays short.
            raise serializers.ValidationError({name[:60]: self.NO_SUCH for name in unknown[:20]})
        return attrs
