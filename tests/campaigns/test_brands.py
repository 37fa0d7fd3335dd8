"""A brand's history."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from campaigns import brands
from campaigns.models import Brand
from personalize.core.errors import InvalidInput
from tests.factories import BrandFactory, UserFactory


@pytest.mark.django_db
def test_a_changed_brand_becomes_the_next_version_and_an_unchanged_one_does_not() -> None:
    editor = UserFactory()
    brand = brands.save(brand=BrandFactory.build(), by=editor)
    brands.save(brand=brand, by=editor)
    assert brand.versions.count() == 1
    brand.voice = "dry and brief"
    brands.save(brand=brand, by=editor)
    assert Brand.objects.get().version == 2
    assert [row.content["voice"] == "dry and brief" for row in brand.versions.order_by("number")] == [
        False,
        True,
    ]
    assert brand.versions.latest("number").created_by == editor


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["name", "sender_name", "reply_to"])
def test_a_line_break_in_what_becomes_a_header_is_refused(field: str) -> None:
    brand = BrandFactory.build(**{field: "x\r\nBcc: all@shop.example"})
    with pytest.raises(InvalidInput, match="line break"):
        brands.save(brand=brand, by=None)
    assert not Brand.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_people_saving_at_once_take_two_numbers() -> None:
    brand = brands.save(brand=BrandFactory.build(), by=None)
    start = threading.Barrier(2)

    def change(voice: str) -> None:
        mine = Brand.objects.get(pk=brand.pk)
        mine.voice = voice
        start.wait(5)
        brands.save(brand=mine, by=None)
        connection.close()

    threads = [threading.Thread(target=change, args=(voice,)) for voice in ("dry", "warm")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(brand.versions.values_list("number", flat=True)) == [1, 2, 3]
