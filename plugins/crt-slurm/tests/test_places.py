"""The folder of a piece: what is written is read, a part of a line waits, and equal pieces have a folder each."""

from __future__ import annotations

import os
from pathlib import Path

from crt_slurm.places import ANSWER, EVENTS, JOB, PIECE, STOP, Place, places


def test_events_are_read_once_and_half_a_line_waits_for_the_rest(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.add({"text": "é"})
    with (tmp_path / EVENTS).open("a") as file:
        file.write('{"step"')
    first = place.events()
    with (tmp_path / EVENTS).open("a") as file:
        file.write(": 1}\n")

    assert first == [{"text": "é"}]
    assert place.events() == [{"step": 1}]
    assert place.events() == []


def test_a_new_job_finds_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in (ANSWER, JOB, STOP):
        place.write(name, {"answer": 1, "problem": None, "id": "7"})
    place.add({})

    place.begin('{"work": "a:b"}')

    assert (place.answer, place.job, place.stopping, place.events()) == ({}, {}, False, [])
    assert (tmp_path / PIECE).read_text() == '{"work": "a:b"}'


def test_a_piece_has_the_same_folder_each_time_and_no_other_piece_has_it(tmp_path: Path) -> None:
    def folders(*numbers: int, threads: int = 1) -> list[Path]:
        return [each.folder for each, _ in places(tmp_path, "a:b", [{"n": number} for number in numbers], threads)]

    assert folders(1, 2) == folders(1, 2)
    assert folders(2)[0] == folders(1, 2)[1]
    assert len({*folders(1, 1, 2), *folders(1, threads=2)}) == 4


def test_another_working_folder_is_another_piece(tmp_path: Path) -> None:
    before = Path.cwd()
    here = places(tmp_path, "a:b", [{}], 1)[0][0].folder
    os.chdir(tmp_path)
    try:
        assert places(tmp_path, "a:b", [{}], 1)[0][0].folder != here
    finally:
        os.chdir(before)
