"""The made-up uploads: the same for the same seed, shared as they claim, tuning apart from measuring."""

from __future__ import annotations

import pytest

from compliance.testing import bad, honest, seeds


def test_a_seed_gives_the_same_file():
    for maker in (honest.shop, bad.bought):
        assert seeds.make(maker, 3) == seeds.make(maker, 3)
        assert seeds.make(maker, 3).rows != seeds.make(maker, 4).rows


def test_no_seed_both_tunes_and_measures():
    assert not set(seeds.TUNING) & set(seeds.HELD_OUT)


def test_ten_honest_kinds_and_both_bad_ones():
    kinds = {(upload.kind, upload.is_bad) for upload in seeds.all_of(range(1))}
    assert len({kind for kind, is_bad in kinds if not is_bad}) == 10
    assert {kind for kind, is_bad in kinds if is_bad} == {"bought", "scraped"}


@pytest.mark.parametrize("seed", range(8))
def test_three_customers_have_forty_percent_of_a_bought_list(seed):
    upload = seeds.make(bad.bought, seed)
    buyers = [held for name, held in upload.world.others.items() if name.startswith("buyer")]
    addresses = sum(len(held) for held in buyers), len(set().union(*buyers)), max(map(len, buyers))
    assert len(buyers) == 3
    assert any(0.34 < count / len(upload.rows) < 0.47 for count in addresses)


@pytest.mark.parametrize("seed", range(8))
def test_scraped_lists_have_one_address_a_domain_and_no_dates(seed):
    upload = seeds.make(bad.scraped, seed)
    domains = {row[0].rpartition("@")[2] for row in upload.rows if row[0].count("@") == 1}
    assert len(domains) > 0.85 * len(upload.rows)
    assert set(upload.targets.values()) == {"email"}


@pytest.mark.parametrize("maker", honest.MAKERS, ids=lambda maker: maker.__name__)
def test_files_are_as_wide_as_their_header(maker):
    upload = seeds.make(maker, 1)
    assert {len(row) for row in upload.rows} == {len(upload.header)}
    assert upload.as_csv().count(b"\n") == len(upload.rows) + 1
