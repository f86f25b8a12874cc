import json
from pathlib import Path

from made_images import noise
from tiny import tiny

from vit_hf import VisionTransformerForImageClassification
from vit_hf.commands.predict import main
from vit_hf.modality import modality_of


def test_every_image_of_a_folder_gets_its_most_probable_labels(trained: Path, capsys):
    assert main([str(trained), str(trained / "examples"), "--top", "2", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert len(results) == 10
    for result in results:
        first, second = (best["probability"] for best in result["predictions"])
        assert 1 >= first >= second > 0


def test_batches_and_formats_change_no_prediction(trained: Path, tmp_path: Path, capsys):
    noise(1).save(tmp_path / "a.png")
    noise(1).save(tmp_path / "b.bmp")
    noise(1).convert("RGBA").save(tmp_path / "c.tiff")
    assert main([str(trained), str(tmp_path), "--json", "--batch-size", "2"]) == 0
    one, *others = [result["predictions"] for result in json.loads(capsys.readouterr().out)]
    assert len(others) == 2
    assert [[best["label"] for best in other] for other in others] == [[best["label"] for best in one]] * 2


def test_unreadable_files_are_counted_and_fail_unless_they_may_be_skipped(trained: Path, tmp_path: Path, capsys):
    noise(0).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    assert main([str(trained), str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "good.png" in said.out
    assert "1 of 2 images cannot be read" in said.err
    assert "bad.png: it is not an image" in said.err
    assert main([str(trained), str(tmp_path), "--on-error", "skip"]) == 0
    assert "bad.png" in capsys.readouterr().err


def test_a_path_that_leads_nowhere_is_named(trained: Path, capsys):
    assert main([str(trained), "nowhere.png"]) == 2
    assert "There is no file or folder nowhere.png" in capsys.readouterr().err


def test_tokens_are_merged_where_that_is_asked_for(trained: Path, tmp_path: Path, capsys):
    model, shares = tiny(VisionTransformerForImageClassification), {}
    model.save_pretrained(tmp_path)
    modality_of(model.config).make_processor(model.config).save_pretrained(tmp_path)
    for r in ("0", "6"):
        assert main([str(tmp_path), str(trained / "examples" / "0.png"), "--json", "--token-merging", r]) == 0
        (result,) = json.loads(capsys.readouterr().out)
        shares[r] = result["predictions"]
    assert shares["0"] != shares["6"]
    for word, sentence in (("-3", "-3 tokens cannot be merged"), ("few", "'few' is no number of tokens to merge")):
        assert main([str(trained), str(trained / "examples"), f"--token-merging={word}"]) == 2
        assert sentence in capsys.readouterr().err
