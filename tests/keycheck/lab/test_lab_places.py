"""Places: distinct addresses where there are some, distinct ports everywhere."""

from __future__ import annotations

import contextlib
import resource
import socket

import pytest

from keycheck.lab.errors import LabError
from keycheck.lab.places import Places, can_bind


def test_one_name_has_one_port_on_many_addresses():
    if not can_bind("127.0.0.2"):
        pytest.skip("only 127.0.0.1 can be bound here")
    with contextlib.closing(Places()) as places:
        first, second = places.claim(2)
        assert first.host != second.host
        assert first.port == second.port
        assert [place.host for place in places.beside((first, second))] == [first.host, second.host]
        many = places.claim(300)
        assert len({place.host for place in many}) == 300


def test_ports_alone_where_addresses_are_missing():
    with contextlib.closing(Places(spread=False)) as places:
        claimed = (*places.claim(3), *places.claim(1))
        assert {place.host for place in claimed} == {"127.0.0.1"}
        assert len({place.port for place in claimed}) == 4


def test_a_place_refuses_until_it_listens_and_keeps_its_port():
    with contextlib.closing(Places()) as places:
        (place,) = places.claim(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((place.host, place.port), timeout=1)
        with socket.socket() as rival, pytest.raises(OSError, match="in use"):
            rival.bind((place.host, place.port))
        places.release()
        place.listen()
        socket.create_connection((place.host, place.port), timeout=1).close()


def test_running_out_of_descriptors_is_said():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.closing(Places()) as places:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            with pytest.raises(LabError) as short:
                places.claim(100)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in short.value.advice
