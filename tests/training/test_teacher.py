import pytest
import torch
from training.small_runs import Noise, small_model, trainer_of

from vit_hf.data.decode.preparation import Preparation
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.training.losses import TeacherLogits, label_order


def processor(model, mean: float, std: float):
    return make_image_processor(model.config, mean=[mean] * 3, std=[std] * 3, crop_pct=None, interpolation="bilinear")


def test_a_teacher_sees_its_own_scale_and_answers_in_the_students_order():
    teacher = small_model(id2label={0: "dog", 1: "bee", 2: "owl", 3: "cat"}).eval()
    student = Preparation(processor(teacher, 0.5, 0.25), 3)
    said = TeacherLogits(teacher, processor(teacher, 0.2, 0.1), student, ["cat", "dog", "owl"])
    shares = torch.rand(4, 3, 8, 8)
    expected = teacher((shares - 0.2) / 0.1).logits[:, [3, 0, 2]]
    torch.testing.assert_close(said(student.normalize_(shares.clone())), expected, rtol=0, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_images_are_resized_for_a_teacher_of_another_size():
    teacher = small_model(image_size=16)
    scale = processor(teacher, 0.5, 0.5)
    said = TeacherLogits(teacher, scale, Preparation(scale, 3), ["cat", "dog", "owl"])
    gray = torch.full((2, 3, 8, 8), 0.3)
    torch.testing.assert_close(said(gray), teacher(torch.full((2, 3, 16, 16), 0.3)).logits)


def test_a_teacher_that_does_not_know_the_labels_or_the_channels_is_refused():
    assert label_order(["b", "a"], ["a", "b"]) == [1, 0]
    with pytest.raises(ValueError, match="does not know the labels 'cow', 'elk'; it knows 'cat', 'dog'"):
        label_order(["cat", "dog"], ["cat", "cow", "elk"])
    teacher = small_model(num_channels=1)
    gray = make_image_processor(teacher.config, mean=[0.5], std=[0.5], crop_pct=None, interpolation="bilinear")
    color = Preparation(processor(small_model(), 0.5, 0.5), 3)
    with pytest.raises(ValueError, match="takes images of 1 channels, the student of 3"):
        TeacherLogits(teacher, gray, color, ["cat"])


def test_a_student_becomes_its_teacher(tmp_path):
    from vit_hf.training.recipe.arguments import TrainingArguments
    from vit_hf.training.recipe.optimization import OptimizationSettings
    from vit_hf.training.trainer.trainer import Trainer

    teacher, student = small_model().eval(), small_model(hidden_size=32)
    scale = processor(teacher, 0.5, 0.5)
    trainer = Trainer(
        model=student,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=30,
            per_device_train_batch_size=16,
            learning_rate=1e-2,
            lr_scheduler_type="constant",
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=Noise(16),
        optimization=OptimizationSettings(distillation={"teacher": "x", "alpha": 1.0}),  # pyright: ignore[reportArgumentType]
        teacher=TeacherLogits(teacher, scale, Preparation(scale, 3), ["cat", "dog", "owl"]),
    )
    images = Noise(16).pixels

    def distance() -> float:
        with torch.no_grad():
            ours, theirs = student.eval()(images).logits.softmax(-1), teacher(images).logits.softmax(-1)
        return (ours - theirs).abs().max().item()

    before = distance()
    trainer.train()
    assert distance() < 0.2 * before


def test_the_trainer_measures_a_model_with_a_token_by_the_logits_of_both_heads(tmp_path):
    model = small_model(num_register_tokens=1, distillation_token=True)
    trainer, data = trainer_of(model, tmp_path), Noise(8)
    assert 0 <= trainer.evaluate()["eval_accuracy"] <= 1
    found = torch.as_tensor(trainer.predict(data).predictions)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(found, model.eval()(data.pixels).logits.detach())
