"""What to cite for the architecture of each family, as BibTeX; of Swin both its versions, whose words mix."""

PAPERS = {
    "vit": r"""
@inproceedings{dosovitskiy2021image,
  title = {An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale},
  author = {Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua and
            Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg and Gelly, Sylvain and
            Uszkoreit, Jakob and Houlsby, Neil},
  booktitle = {International Conference on Learning Representations},
  year = {2021},
  url = {https://arxiv.org/abs/2010.11929}
}
""",
    "swin": r"""
@inproceedings{liu2021swin,
  title = {Swin Transformer: Hierarchical Vision Transformer using Shifted Windows},
  author = {Liu, Ze and Lin, Yutong and Cao, Yue and Hu, Han and Wei, Yixuan and Zhang, Zheng and Lin, Stephen and
            Guo, Baining},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year = {2021},
  url = {https://arxiv.org/abs/2103.14030}
}

@inproceedings{liu2022swin,
  title = {Swin Transformer V2: Scaling Up Capacity and Resolution},
  author = {Liu, Ze and Hu, Han and Lin, Yutong and Yao, Zhuliang and Xie, Zhenda and Wei, Yixuan and Ning, Jia and
            Cao, Yue and Zhang, Zheng and Dong, Li and Wei, Furu and Guo, Baining},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2022},
  url = {https://arxiv.org/abs/2111.09883}
}
""",
    "timesformer": r"""
@inproceedings{bertasius2021space,
  title = {Is Space-Time Attention All You Need for Video Understanding?},
  author = {Bertasius, Gedas and Wang, Heng and Torresani, Lorenzo},
  booktitle = {International Conference on Machine Learning},
  year = {2021},
  url = {https://arxiv.org/abs/2102.05095}
}
""",
}
