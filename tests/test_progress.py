"""Progress on a stream that is no terminal."""

import io

from jaxcam import progress


def test_plain_lines_end_with_the_total():
    stream = io.StringIO()
    with progress.bar("Working", 3, stream=stream) as advance:
        for _ in range(3):
            advance(1)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Working: 3/3 images, ")


def test_steps_done_before_count_in_the_total_only():
    stream = io.StringIO()
    with progress.bar("Working", 10, done=8, stream=stream) as advance:
        advance(2)
    assert "10/10" in stream.getvalue()


def test_slow_work_is_seen_to_go_on(monkeypatch):
    times = iter([0.0, 50.0, 200.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    stream = io.StringIO()
    with progress.bar("Working", 400, stream=stream) as advance:
        advance(1)
        advance(1)
    assert stream.getvalue().splitlines() == [
        "Working: 1/400 images, 0.02 images/s, 5.5 h left",
        "Working: 2/400 images, 0.01 images/s, 11.1 h left",
    ]


def test_silence():
    stream = io.StringIO()
    with progress.bar("Working", 3, show=False, stream=stream) as advance:
        advance(3)
    assert not stream.getvalue()


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress.bar("Working", 2, stream=stream) as advance:
        advance(2)
    assert "2/2" in stream.getvalue()
