import sys

import pytest

from napari_tomoflow.cli import doctor

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="window libraries are looked for on Linux only")


@on_linux
def test_a_missing_library_is_named_by_its_package(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_loads", lambda library: library != "libxcb-cursor.so.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert doctor.doctor(packages=True) == 0
    assert capsys.readouterr().out == "libxcb-cursor0\n"


@on_linux
def test_the_remedy_is_one_line_to_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "_loads", lambda library: library not in ("libGL.so.1", "libEGL.so.1"))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert doctor.doctor(tmp_path) == 2
    assert "apt-get install -y --no-install-recommends libgl1 libegl1\n" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_named(capsys, tmp_path):
    assert doctor.doctor(tmp_path / "nowhere") == 2
    assert "nowhere is no folder" in capsys.readouterr().out


def test_every_check_has_its_line(capsys, tmp_path):
    doctor.doctor(tmp_path)
    shown = capsys.readouterr().out
    for name in ("display", "window parts", "Qt", "kernels", "memory", "disk", "write access"):
        assert name in shown
