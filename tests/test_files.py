"""Input files: found under any name, opened whatever their packing, refused with a reason when hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import fsspec
import pytest

from corpuskit import files
from corpuskit.files import Member, Refused

TEXT = b"une ligne\nune autre ligne\n"
COMPRESSIONS = pytest.mark.parametrize(
    ("compress", "suffix"), [(gzip.compress, ".gz"), (bz2.compress, ".bz2"), (partial(lzma.compress, preset=0), ".xz")]
)


def contents(path: Path | str) -> list[tuple[str, bytes]]:
    """Every member that is found, by name: its content, or why it is refused."""
    return [(member.name, content(member)) for file in files.find(str(path)) for member in files.members(file)]


def content(member: Member) -> bytes:
    try:
        return member.refused.encode() or member.stream.read()
    except (Refused, tarfile.TarError) as error:
        return str(error).encode()


def taken(path: Path, take: Callable[[IO[bytes]], bytes]) -> tuple[list[bytes], str]:
    """What the only member of the only file gives piece by piece up to a fault, and that."""
    pieces: list[bytes] = []
    try:
        for member in files.members(files.find(str(path))[0]):
            pieces.extend(iter(lambda stream=member.stream: take(stream), b""))
    except Refused as error:
        return pieces, str(error)
    return pieces, ""


def names(path: Path | str) -> list[str]:
    return [file.name for file in files.find(str(path))]


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tar_entry(name: str, data: bytes = b"", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, data


def make_tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return path


class TestFind:
    def test_a_file_a_folder_and_a_glob(self, tmp_path: Path) -> None:
        for name in ("b/deux.xml", "a/un.xml", "a/.cache/x.xml", ".DS_Store", "a/un.txt"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(TEXT)
        assert names(tmp_path) == ["a/un.txt", "a/un.xml", "b/deux.xml"]
        assert names(tmp_path / "a" / "un.xml") == ["un.xml"]
        assert names(f"{tmp_path}/*/*.xml") == ["a/un.xml", "b/deux.xml"]
        assert names(f"{tmp_path}/**/*.xml") == ["a/un.xml", "b/deux.xml"]
        assert files.find(str(tmp_path))[0].size == len(TEXT)

    def test_an_fsspec_url(self) -> None:
        memory = fsspec.filesystem("memory")
        memory.pipe({"/corpus/a/un.txt": TEXT, "/corpus/deux.txt.gz": gzip.compress(TEXT)})
        try:
            assert names("memory://corpus") == ["a/un.txt", "deux.txt.gz"]
            assert names("memory://corpus/*/*.txt") == ["a/un.txt"]
            assert contents("memory://corpus") == [("a/un.txt", TEXT), ("deux.txt", TEXT)]
        finally:
            memory.rm("/corpus", recursive=True)

    def test_nothing_there(self, tmp_path: Path) -> None:
        (tmp_path / "vide").mkdir()
        (tmp_path / ".cachée").write_bytes(TEXT)
        with pytest.raises(FileNotFoundError, match=r"nothing at .*absent"):
            files.find(str(tmp_path / "absent"))
        for path in (tmp_path, tmp_path / "vide", tmp_path / "*.xml"):
            with pytest.raises(FileNotFoundError, match="no file matches"):
                files.find(str(path))

    @pytest.mark.parametrize(
        "name", ["cas [1].txt", "*.txt", "où ça ?.txt", "50%25 #1.txt", "a::b.txt", "deux\nlignes.txt", " ' \" &.txt"]
    )
    def test_odd_names(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(TEXT)
        (tmp_path / "zzz.txt").write_bytes(b"autre")
        assert contents(tmp_path / name) == [(name, TEXT)]
        assert contents(tmp_path) == [(name, TEXT), ("zzz.txt", b"autre")]

    def test_a_name_that_is_not_utf_8_can_be_written_down(self, tmp_path: Path) -> None:
        (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(TEXT)
        make_tar(tmp_path / "vieux.tar", tar_entry(os.fsdecode(b"\xe9t\xe9.txt"), TEXT))
        assert contents(tmp_path) == [(r"caf\udce9.txt", TEXT), (r"vieux.tar!/\udce9t\udce9.txt", TEXT)]

    def test_links_to_files_are_followed_links_to_folders_are_not(self, tmp_path: Path) -> None:
        folder = tmp_path / "données"
        folder.mkdir()
        (folder / "vrai.txt").write_bytes(TEXT)
        (folder / "lien.txt").symlink_to(folder / "vrai.txt")
        (folder / "boucle").symlink_to(folder)
        os.mkfifo(folder / "tube.txt")
        assert contents(folder) == [("lien.txt", TEXT), ("vrai.txt", TEXT)]
        assert contents(folder / "boucle") == contents(folder)
        assert contents(folder / "lien.txt") == [("lien.txt", TEXT)]

    def test_a_file_that_vanishes_or_a_link_that_leads_nowhere_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes(TEXT)
        (tmp_path / "b.txt").symlink_to(tmp_path / "absent")
        found = files.find(str(tmp_path))
        (tmp_path / "a.txt").unlink()
        assert [file.name for file in found] == ["a.txt", "b.txt"]
        for file in found:
            with pytest.raises(FileNotFoundError):
                next(files.members(file))


class TestPacking:
    @COMPRESSIONS
    def test_compression_is_told_by_the_bytes(
        self, tmp_path: Path, compress: Callable[[bytes], bytes], suffix: str
    ) -> None:
        (tmp_path / f"a.txt{suffix}").write_bytes(compress(TEXT))
        (tmp_path / "b.txt").write_bytes(compress(TEXT) + compress(TEXT))
        (tmp_path / f"c.txt{suffix}").write_bytes(TEXT)
        assert contents(tmp_path) == [("a.txt", TEXT), ("b.txt", TEXT + TEXT), (f"c.txt{suffix}", TEXT)]

    def test_members_of_archives(self, tmp_path: Path) -> None:
        expected = {"x/un.txt": b"un", "deux.txt.gz": gzip.compress(b"deux")}
        make_zip(tmp_path / "a.zip", {"x/": b"", **expected})
        entries = [tar_entry("x", type=tarfile.DIRTYPE), *(tar_entry(*item) for item in expected.items())]
        make_tar(tmp_path / "b.tar", *entries)
        make_tar(tmp_path / "c.tar.gz", *entries, mode="w:gz")
        make_tar(tmp_path / "d.tgz", *entries, mode="w:gz")
        make_tar(tmp_path / "e.tar.bz2", *entries, mode="w:bz2")
        assert contents(tmp_path) == [
            (f"{archive}!/{name}", data)
            for archive in ("a.zip", "b.tar", "c.tar", "d.tar", "e.tar")
            for name, data in (("x/un.txt", b"un"), ("deux.txt", b"deux"))
        ]

    def test_progress_counts_the_bytes_of_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt.gz"
        path.write_bytes(gzip.compress(os.urandom(3_000_000)))
        counts: list[int] = []
        (file,) = files.find(str(path))
        for member in files.members(file, counts.append):
            assert len(member.read()) == 3_000_000
        assert sum(counts) == path.stat().st_size
        assert max(counts) <= 1 << 20

    def test_what_must_be_held_in_memory_has_a_limit(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes(b"x" * (1 << 20))
        (file,) = files.find(str(tmp_path))
        assert len(next(files.members(file)).read(1 << 20)) == 1 << 20
        with pytest.raises(Refused, match="larger than 0 MiB"):
            next(files.members(file)).read((1 << 20) - 1)


class TestHostileArchives:
    def test_names_that_leave_the_archive(self, tmp_path: Path) -> None:
        bad = ["../../etc/cron.txt", "/etc/passwd.txt", "a/../../b.txt", "..\\..\\win.txt", "C:\\win.txt"]
        make_zip(tmp_path / "a.zip", dict.fromkeys([*bad, "bon.txt"], TEXT))
        make_tar(tmp_path / "b.tar", *(tar_entry(name, TEXT) for name in [*bad, "bon..txt"]))
        found = contents(tmp_path)
        assert [data for _, data in found if data == TEXT] == [TEXT, TEXT]
        assert [name for name, data in found if data == TEXT] == ["a.zip!/bon.txt", "b.tar!/bon..txt"]
        assert sum(data.endswith(b"leaves the archive's folder") for _, data in found) == 10

    def test_a_zip_bomb_is_refused_unread(self, tmp_path: Path) -> None:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", TEXT)
            with archive.open("bombe.txt", "w") as member:
                for _ in range(300):
                    member.write(bytes(1 << 20))
            archive.writestr("b.txt", TEXT)
        assert path.stat().st_size < 400_000
        first, bomb, last = contents(path)
        assert (first, last) == (("a.zip!/a.txt", TEXT), ("a.zip!/b.txt", TEXT))
        assert bomb[1].startswith(b"a zip bomb: ")
        assert b"would expand to 314,572,800" in bomb[1]

    def test_a_zip_bomb_of_many_small_members(self, tmp_path: Path) -> None:
        zeros = bytes(1 << 20)
        found = contents(make_zip(tmp_path / "a.zip", {f"{n}.txt": zeros for n in range(100)}))
        assert [data == zeros for _, data in found] == [True] * 64 + [False] * 36
        assert all(data.startswith(b"a zip bomb") for _, data in found[64:])

    @COMPRESSIONS
    def test_a_decompression_bomb_stops_early(
        self, tmp_path: Path, compress: Callable[[bytes], bytes], suffix: str
    ) -> None:
        (tmp_path / f"a.txt{suffix}").write_bytes(compress(bytes(1 << 20)) * 300)
        tracemalloc.start()
        try:
            given, fault = taken(tmp_path, lambda stream: stream.read(1 << 20)[:1])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert fault.startswith("a decompression bomb")
        assert len(given) <= 64  # MiB
        assert peak < 20 << 20

    def test_what_is_packed_again_and_again(self, tmp_path: Path) -> None:
        data = TEXT
        for _ in range(3):
            data = gzip.compress(data)
        (tmp_path / "a.txt.gz.gz.gz").write_bytes(data)
        (tmp_path / "b.txt").write_bytes(gzip.compress(data))
        assert contents(tmp_path) == [("a.txt", TEXT), ("b.txt", b"compressed more than 3 times over")]

    def test_an_archive_inside_an_archive(self, tmp_path: Path) -> None:
        inner = make_zip(tmp_path / "inner.zip", {"a.txt": TEXT}).read_bytes()
        tar = make_tar(tmp_path / "inner.tar", tar_entry("a.txt", TEXT)).read_bytes()
        make_zip(tmp_path / "outer.zip", {"un.zip": inner, "deux.tar.gz": gzip.compress(tar), "trois.txt": TEXT})
        assert contents(tmp_path / "outer.zip") == [
            ("outer.zip!/un.zip", b"an archive inside an archive"),
            ("outer.zip!/deux.tar", b"an archive inside an archive"),
            ("outer.zip!/trois.txt", TEXT),
        ]

    def test_links_and_devices_in_a_tar(self, tmp_path: Path) -> None:
        make_tar(
            tmp_path / "a.tar",
            tar_entry("lien.txt", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            tar_entry("dur.txt", type=tarfile.LNKTYPE, linkname="bon.txt"),
            tar_entry("disque.txt", type=tarfile.BLKTYPE),
            tar_entry("tube.txt", type=tarfile.FIFOTYPE),
            tar_entry("bon.txt", TEXT),
        )
        found = contents(tmp_path)
        assert [data for _, data in found[:4]] == [b"a link, device or sparse file, not a plain one"] * 4
        assert found[4] == ("a.tar!/bon.txt", TEXT)

    def test_an_encrypted_member(self, tmp_path: Path) -> None:
        path = make_zip(tmp_path / "a.zip", {"a.txt": TEXT, "b.txt": TEXT})
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + 8] |= 1  # general purpose bit 0, in the central directory
        path.write_bytes(data)
        assert contents(path) == [("a.zip!/a.txt", b"the archive member is encrypted"), ("a.zip!/b.txt", TEXT)]

    def test_empty_files_and_members(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes(b"")
        (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b""))
        make_zip(tmp_path / "c.zip", {"vide.txt": b"", "plein.txt": TEXT})
        make_tar(tmp_path / "d.tar", tar_entry("vide.txt"), tar_entry("plein.txt", TEXT))
        empty = b"the file is empty"
        assert contents(tmp_path) == [
            ("a.txt", empty),
            ("b.txt", empty),
            ("c.zip!/vide.txt", empty),
            ("c.zip!/plein.txt", TEXT),
            ("d.tar!/vide.txt", empty),
            ("d.tar!/plein.txt", TEXT),
        ]


class TestDamage:
    @COMPRESSIONS
    def test_what_comes_before_the_cut_is_given(
        self, tmp_path: Path, compress: Callable[[bytes], bytes], suffix: str
    ) -> None:
        lines = [b"%d %s\n" % (n, os.urandom(20).hex().encode()) for n in range(60_000)]
        packed = compress(b"".join(lines))
        (tmp_path / f"a.txt{suffix}").write_bytes(packed[: len(packed) // 2])
        given, fault = taken(tmp_path, lambda stream: stream.readline())
        assert given == lines[: len(given)]
        assert len(given) > 15_000  # bz2 gives whole blocks of 900 kB
        assert fault.startswith("the compressed data is cut off or damaged")

    def test_a_damaged_member_of_a_zip_costs_only_itself(self, tmp_path: Path) -> None:
        path = make_zip(tmp_path / "a.zip", {f"{n}.txt": os.urandom(500) for n in range(5)})
        data = bytearray(path.read_bytes())
        data[data.index(b"1.txt") + 50] ^= 0xFF  # its content
        data[data.index(b"2.txt")] = ord("x")  # its own header
        method = data.rindex(b"PK\x01\x02", 0, data.rindex(b"3.txt")) + 10
        data[method] = 99  # its method of compression
        path.write_bytes(data)
        found = contents(path)
        assert [len(data) for _, data in found if len(data) == 500] == [500, 500]
        assert [name for name, data in found if len(data) == 500] == ["a.zip!/0.txt", "a.zip!/4.txt"]
        assert [data.split(b":")[0] for _, data in found[1:4]] == [b"BadZipFile", b"BadZipFile", b"NotImplementedError"]

    def test_a_damaged_compression_inside_an_archive_costs_only_itself(self, tmp_path: Path) -> None:
        broken = gzip.compress(TEXT)[:-9]
        make_tar(tmp_path / "a.tar", tar_entry("a.txt.gz", broken), tar_entry("b.txt", TEXT))
        (name, fault), last = contents(tmp_path)
        assert name == "a.tar!/a.txt"
        assert fault.startswith(b"the compressed data is cut off or damaged")
        assert last == ("a.tar!/b.txt", TEXT)

    def test_a_zip_that_is_cut_off(self, tmp_path: Path) -> None:
        path = make_zip(tmp_path / "a.zip", {"a.txt": TEXT})
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(Refused, match="the zip archive is cut off or damaged"):
            contents(path)

    def test_a_tar_cut_anywhere_gives_what_is_whole_and_says_so(self, tmp_path: Path) -> None:
        entries = {f"{n}.txt": b"%d" % n * 300 * (n + 1) for n in range(4)}
        whole = make_tar(tmp_path / "a.tar", *(tar_entry(*item) for item in entries.items())).read_bytes()
        end = len(whole.rstrip(b"\0"))
        for cut in [*range(1, end, 97), 512, 1024]:
            found, faults = self.told(tmp_path, whole[:cut])
            assert found == dict(list(entries.items())[: len(found)])
            assert faults, f"a cut at byte {cut} went unsaid"
        assert self.told(tmp_path, whole) == (entries, [])

    def test_a_tar_with_a_damaged_header_says_so(self, tmp_path: Path) -> None:
        data = bytearray(make_tar(tmp_path / "a.tar", *(tar_entry(f"{n}.txt", TEXT) for n in range(3))).read_bytes())
        data[1024 + 3] ^= 0xFF
        found, (fault,) = self.told(tmp_path, bytes(data))
        assert list(found) == ["0.txt"]
        assert fault == "the tar archive is cut off or damaged: bad checksum"

    @staticmethod
    def told(folder: Path, data: bytes) -> tuple[dict[str, bytes], list[str]]:
        """The whole members of a tar, and every fault that is told."""
        (folder / "a.tar").write_bytes(data)
        found: dict[str, bytes] = {}
        faults: list[str] = []
        try:
            for member in files.members(files.find(str(folder / "a.tar"))[0]):
                data = content(member)
                if member.refused or b"unexpected end" in data:
                    faults.append(data.decode())
                else:
                    found[member.name.removeprefix("a.tar!/")] = data
        except Refused as error:
            faults.append(str(error))
        return found, faults


def test_an_empty_zip_and_a_compressed_zip_are_refused_for_what_they_are(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "un")
    (tmp_path / "b.zip.gz").write_bytes(gzip.compress(packed.getvalue()))
    refused = {file.name: [member.refused for member in files.members(file)] for file in files.find(str(tmp_path))}
    assert refused == {
        "a.zip": ["the archive is empty"],
        "b.zip.gz": ["a zip archive inside a compression: decompress it first"],
    }
