"""The page in a browser: it draws, zooms, and shows packets on a click, without network; what a capture holds cannot act in it."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import needs
import pytest
from talk import EDK2, Talk

from pxenet.capture.dissect import read
from pxenet.look.page import page_of
from pxenet.look.record import capture_record
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as Code

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


def seen(page: str, tmp_path: Path, script: str = "''", fragment: str = "") -> tuple[str, str]:
    """What a browser makes of the page, and what this expression comes to in it."""
    probe = f"<script>document.documentElement.setAttribute('data-said', JSON.stringify((() => {script})()));</script>"
    watch = "<script>onerror = said => document.documentElement.setAttribute('data-wrong', said);</script>"
    page = page.replace("<script>", f"{watch}<script>", 1)
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", probe + "</body>"), "utf-8")
    done = subprocess.run(
        [
            str(needs.find("chromium")), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900",
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{path}{fragment}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    said = re.search(r'data-said="([^"]*)"', done.stdout)
    assert said is not None, re.findall(r'data-wrong="([^"]*)"', done.stdout)
    return done.stdout, json.loads(html.unescape(said.group(1)))


@needs.tool("chromium")
def test_waterfall_zoom_and_details(tmp_path: Path) -> None:
    """Each stage has a row; zooming in shows less of it for longer, fitting shows it all; a click opens the packets of a stage."""
    record = capture_record(read(CAPTURES / "di-preseed.pcap"))
    script = """{
      const span = () => Number(document.getElementById('chart').dataset.seconds);
      const rows = document.querySelectorAll('#chart .row').length, before = span();
      document.getElementById('in').click();
      const closer = span();
      document.getElementById('chart').dispatchEvent(new WheelEvent('wheel', {deltaY: -100, clientX: 100}));
      const wheel = span();
      document.getElementById('fit').click();
      const again = span();
      document.querySelectorAll('#chart .row')[0].dispatchEvent(new MouseEvent('click'));
      return {rows, before, closer, wheel, again, title: document.querySelector('#details h2').textContent,
        packets: [...document.querySelectorAll('#details details')].map(one => one.dataset.packet),
        text: document.querySelector('#details pre').textContent};
    }"""
    _, said = seen(page_of(record, "a capture"), tmp_path, script)
    assert isinstance(said, dict)
    stages = record["boots"][0]["stages"]  # type: ignore[index]
    assert said["rows"] == len(stages)
    assert said["before"] == said["again"] > 79
    assert said["closer"] == pytest.approx(said["before"] / 2)
    assert said["wheel"] == pytest.approx(said["closer"] * 0.8)
    assert said["title"].startswith("address: 10.77.0.199 from 10.77.0.1")
    assert len(said["packets"]) >= 5
    assert "53 message type: 1 DISCOVER" in said["text"]


@needs.tool("chromium")
def test_what_a_capture_holds_cannot_act(tmp_path: Path) -> None:
    """Names from the network are text, wherever they stand."""
    talk = (
        Talk().dhcp(MessageType.DISCOVER, says={**EDK2, Code.HOST_NAME: HOSTILE[:60]}).rrq(HOSTILE).wait(1).rrq(HOSTILE)
    )
    page = page_of(capture_record(talk.capture()), HOSTILE)
    assert HOSTILE not in page
    dom, said = seen(page, tmp_path, "[document.title, document.querySelectorAll('img').length]", "#packet=2")
    assert said == [HOSTILE, 0]
    assert "TFTP RRQ" in dom


@needs.tool("chromium")
@pytest.mark.parametrize("name", ["two-servers", "lossy", "installed-again", "cooked-v2"])
def test_made_captures(name: str, tmp_path: Path) -> None:
    """Every boot and what is odd about it is there; nothing is fetched, and no script fails."""
    record = capture_record(read(CAPTURES / f"made/{name}.pcap"))
    script = """{
      const list = document.getElementById('boots'), found = [];
      for (const option of [...list.options]) {
        list.value = option.value;
        list.dispatchEvent(new Event('change'));
        const odd = [...document.querySelectorAll('.odd')].map(one => one.textContent);
        found.push([document.querySelectorAll('#chart .row').length, odd]);
      }
      return {found, fetched: performance.getEntriesByType('resource').length,
        wrong: document.documentElement.dataset.wrong || ''};
    }"""
    _, said = seen(page_of(record, name), tmp_path, script)
    assert isinstance(said, dict)
    assert (0, "") == (said["fetched"], said["wrong"])
    boots: Any = record["boots"]
    common: Any = record["anomalies"]
    assert [len(boot["stages"]) for boot in boots] == [rows for rows, _ in said["found"]]
    for boot, (_, odd) in zip(boots, said["found"], strict=True):
        expected = [one["words"] for one in (*common, *boot["anomalies"])]
        assert [] == [words for words in expected if not any(words in text for text in odd)]
        assert len(expected) == len(odd)


def test_the_page_needs_nothing_else() -> None:
    """It names no other file and no address, and forbids itself to fetch any."""
    page = page_of(capture_record(read(CAPTURES / "bios-pxelinux-localboot.pcap")), "x")
    assert "default-src 'none'" in page
    head = page.partition('<script id="record"')[0]
    assert re.findall(r'(?:src|href)="(?!data:)', head) == []
    assert "{#" not in page


def test_an_empty_capture() -> None:
    """A page that says so."""
    assert '"boots": []' in page_of(capture_record(Talk().capture()), "x")
