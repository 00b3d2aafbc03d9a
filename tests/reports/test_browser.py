"""The report as a person meets it: in a real browser, without a network."""

import numpy as np

SUMMARY = "document.querySelector('#summary table')"


def test_it_opens_without_an_error(chromium, page, tmp_path):
    done = chromium(page, "--dump-dom", profile=tmp_path)
    assert "CONSOLE" not in done.stderr
    assert "<title>jaxcam report: shapes_net on shapes" in done.stdout
    assert done.stdout.rstrip().endswith("</html>")


def test_a_heading_sorts_and_what_is_undefined_stays_last(asked, result):
    column = """
      const read = () => [...table.tBodies[0].rows].map(r => [
        r.cells[0].textContent.trim(), r.cells[column].dataset.value]);
      const button = table.tHead.rows[0].cells[column].querySelector('button');
      const before = read();
      button.click(); const once = read();
      button.click(); const twice = read();
      return {before, once, twice,
              sorted: table.tHead.rows[0].cells[column].ariaSort};
    """
    found = asked(f"const table = {SUMMARY}, column = 1; {column}")
    values = [float(v) for _, v in found["once"]]
    assert values == sorted(values, reverse=True)
    assert found["twice"] == found["once"][::-1] != found["before"]
    assert found["sorted"] == "ascending"
    order = {
        r["method"]: r["estimate"]
        for r in result.summary(resamples=10)
        if r["metric"] == "energy_pointing_game"
    }
    best_first = sorted(order, key=order.get, reverse=True)
    assert [name for name, _ in found["once"]] == best_first
    # A metric that is undefined everywhere keeps its rows in place.
    undefined = asked(
        "const cell = [...document.querySelectorAll('#summary tbody td')]"
        ".find(c => c.textContent.startsWith('undefined'));"
        f"const table = cell.closest('table'), column = cell.cellIndex; {column}"
    )
    assert undefined["before"] == undefined["once"] == undefined["twice"]


def test_the_gallery_shows_pictures_and_filters(asked):
    found = asked(
        """
      const cards = [...document.querySelectorAll('.card')];
      const visible = () => cards.filter(c => c.offsetHeight > 0).length;
      const decoded = await Promise.all(
        [...document.querySelectorAll('.card image')].map(async node => {
          const picture = new Image();
          picture.src = node.getAttribute('href');
          await picture.decode();
          const box = node.getBoundingClientRect();
          return picture.naturalWidth > 0 && box.width > 40 && box.height > 40;
        }));
      const choose = (select, value) => {
        select.value = value; select.dispatchEvent(new Event('change'));
        return [visible(), document.getElementById('cards-count').textContent];
      };
      const [kinds, classes] = document.querySelectorAll('#gallery select');
      const all = visible();
      const wrong = choose(kinds, 'wrong');
      choose(kinds, '');
      const star = choose(classes, 'a star');
      const back = choose(classes, '');
      const marks = document.querySelector('.marks .region');
      const shown = getComputedStyle(marks.parentElement).display;
      document.getElementById('outlines').click();
      const hidden = getComputedStyle(marks.parentElement).display;
      return {decoded, all, wrong, star, back, shown, hidden,
              stars: cards.filter(c => c.dataset.class === 'a star').length};
    """
    )
    assert len(found["decoded"]) >= 4 * found["all"]
    assert all(found["decoded"])
    assert found["wrong"] == [2, f"2 of {found['all']} images"]
    assert found["star"][0] == found["stars"] < found["all"] == found["back"][0]
    assert (found["shown"], found["hidden"]) == ("inline", "none")


def test_the_comparison_filters(asked):
    found = asked(
        """
      document.querySelector('#comparison details').open = true;
      const rows = [...document.querySelectorAll('#comparison-rows tbody tr')];
      const visible = () => rows.filter(r => r.offsetHeight > 0);
      const select = document.querySelector('#comparison select');
      const all = visible().length;
      select.value = 'localization_error';
      select.dispatchEvent(new Event('change'));
      const some = visible().map(r => r.dataset.metric);
      document.querySelector('#comparison input').click();
      return {all, some, sure: visible().map(r => r.dataset.sure)};
    """
    )
    assert set(found["some"]) == {"localization_error"}
    assert 0 < len(found["some"]) < found["all"]
    assert set(found["sure"]) == {"yes"}


def test_it_is_readable_on_a_phone_and_in_the_dark(asked):
    script = """
      const colour = getComputedStyle(document.body);
      const cell = document.querySelector('#summary tbody th');
      return {wide: document.documentElement.scrollWidth, inner: innerWidth,
              back: colour.backgroundColor, ink: colour.color,
              height: cell.getBoundingClientRect().height,
              font: parseFloat(colour.fontSize)};
    """
    light = asked(script, width=360)
    assert light["wide"] <= light["inner"] == 360
    assert light["height"] < 60
    assert light["font"] >= 15
    dark = asked(script, "--blink-settings=preferredColorScheme=0", width=360)

    def contrast(shown):
        levels = []
        for colour in (shown["back"], shown["ink"]):
            rgb = np.array([float(v) for v in colour[4:-1].split(",")]) / 255
            linear = np.where(
                rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4
            )
            levels.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
        return levels[0] / levels[1]

    assert contrast(light) > 7
    assert 1 / contrast(dark) > 7


def test_it_prints(chromium, page, tmp_path):
    pdf = tmp_path / "report.pdf"
    chromium(page, f"--print-to-pdf={pdf}", profile=tmp_path / "profile")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert pdf.stat().st_size > 50_000
