"""Published worked examples of agreement: the data, and what their sources print.

`raw`: a row an item, a column a person, "." no answer. `table`: a cross table of two people. `counts`: a row an item, a
column a label. Each expected row: coefficient, weights, value, standard error, 95 % limits (t, cut at 1), decimals
printed; "." is not printed. The names of the weights are Gwet's.
"""

from typing import NamedTuple


class Example(NamedTuple):
    name: str
    kind: str
    source: str
    data: str
    expected: str


GWET = (
    "Gwet (2014), Handbook of Inter-Rater Reliability, 4th ed.; numbers as in the unit tests of irrCAC (R and Python)"
)

EXAMPLES = [
    Example(
        name="kripp_4x12",
        kind="raw",
        source="Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, sections C and D",
        data="""
            1 1 . 1
            2 2 3 2
            3 3 3 3
            3 3 3 3
            2 2 2 2
            1 2 3 4
            4 4 4 4
            1 1 2 1
            2 2 2 2
            . 5 5 5
            . . 1 1
            . 3 . .
        """,
        expected="""
            alpha nominal 0.743 . . . 3
            alpha ordinal 0.815 . . . 3
            alpha interval 0.849 . . . 3
            alpha ratio 0.797 . . . 3
        """,
    ),
    Example(
        name="kripp_binary",
        kind="raw",
        source="Krippendorff (2011), section A; also Krippendorff (2004), Content Analysis, 11.3.1.",
        data="""
            1 0
            1 1
            0 1
            0 0
            0 0
            0 1
            0 0
            0 1
            0 0
            0 0
        """,
        expected="""
            alpha nominal 0.095 . . . 3
        """,
    ),
    Example(
        name="kripp_ben_gerry",
        kind="raw",
        source="Krippendorff (2011), section B: Ben and Gerry.",
        data="""
            a b
            a a
            b b
            b b
            d b
            c c
            c c
            c c
            e e
            d d
            d d
            a d
        """,
        expected="""
            alpha nominal 0.692 . . . 3
        """,
    ),
    Example(
        name="wikipedia_3x15",
        kind="raw",
        source='Wikipedia, "Krippendorff\'s alpha": three coders, fifteen units.',
        data="""
            . 1 .
            . . .
            . 2 2
            . 1 1
            . 3 3
            3 3 4
            4 4 4
            1 3 .
            2 . 2
            1 . 1
            1 . 1
            3 . 3
            3 . 3
            . . .
            3 . 4
        """,
        expected="""
            alpha nominal 0.691358 . . . 6
            alpha interval 0.810845 . . . 6
        """,
    ),
    Example(
        name="hayes2007",
        kind="raw",
        source="Hayes and Krippendorff (2007), table 1, doi 10.1080/19312450709336664: five observers, forty units.",
        data="""
            1 1 2 . 2
            1 1 0 1 .
            2 3 3 3 .
            . 0 0 . 0
            0 0 0 . 0
            0 0 0 . 0
            1 0 2 . 1
            1 . 2 0 .
            2 2 2 . 2
            2 1 1 1 .
            . 1 0 0 .
            0 0 0 0 .
            1 2 2 2 .
            3 3 2 2 3
            1 1 1 . 1
            1 1 1 . 1
            2 1 2 . 2
            1 2 3 3 .
            1 1 0 1 .
            0 0 0 . 0
            0 0 1 1 .
            0 0 . 0 0
            2 3 3 3 .
            0 0 0 0 .
            1 2 . 2 2
            0 1 1 1 .
            0 0 0 1 0
            1 2 1 2 .
            1 1 2 2 .
            1 1 2 . 2
            1 1 0 . 0
            2 1 2 1 .
            2 2 . 2 2
            3 2 2 2 .
            2 2 2 . 2
            2 2 3 . 2
            2 2 2 . 2
            2 2 . 1 2
            2 2 2 2 .
            1 1 1 . 1
        """,
        expected="""
            alpha ordinal 0.7598 . . . 4
            alpha nominal 0.477 . . . 3
            alpha interval 0.757 . . . 3
        """,
    ),
    Example(
        name="fleiss1971",
        kind="raw",
        source="Fleiss (1971), doi 10.1037/h0031619: six psychiatrists, thirty patients; kappas as printed by R irr.",
        data="""
            4 4 4 4 4 4
            2 2 2 5 5 5
            2 3 3 3 3 5
            5 5 5 5 5 5
            2 2 2 4 4 4
            1 1 3 3 3 3
            3 3 3 3 5 5
            1 1 3 3 3 4
            1 1 4 4 4 4
            5 5 5 5 5 5
            1 4 4 4 4 4
            1 2 4 4 4 4
            2 2 2 3 3 3
            1 4 4 4 4 4
            2 2 4 4 4 5
            3 3 3 3 3 5
            1 1 1 4 5 5
            1 1 1 1 1 2
            2 2 4 4 4 4
            1 3 3 5 5 5
            5 5 5 5 5 5
            2 4 4 4 4 4
            2 2 4 5 5 5
            1 1 4 4 4 4
            1 4 4 4 4 5
            2 2 2 2 2 4
            1 1 1 1 5 5
            2 2 4 4 4 4
            1 3 3 3 3 3
            5 5 5 5 5 5
        """,
        expected="""
            fleiss nominal 0.43 . . . 3
            cohen:rater1:rater2 nominal 0.651 . . . 3
        """,
    ),
    Example(
        name="fleiss_wikipedia",
        kind="counts",
        source='Wikipedia, "Fleiss\' kappa": fourteen raters, ten subjects, five categories.',
        data="""
            0 0 0 0 14
            0 2 6 4 2
            0 0 3 5 6
            0 3 9 2 0
            2 2 8 1 1
            7 7 0 0 0
            3 2 6 3 0
            2 5 3 2 2
            6 5 2 1 0
            0 2 2 3 7
        """,
        expected="""
            fleiss nominal 0.21 . . . 3
        """,
    ),
    Example(
        name="cohen1968",
        kind="table",
        source="Cohen (1960), doi 10.1177/001316446002000104, and Cohen (1968), 10.1037/h0026256",
        data="""
            88 10 2
            14 40 6
            18 10 12
        """,
        expected="""
            cohen nominal 0.492 . . . 3
            cohen disagreement:0,1,3;1,0,6;3,6,0 0.348 . . . 3
        """,
    ),
    Example(
        name="wikipedia_kappa_a",
        kind="table",
        source='Wikipedia, "Cohen\'s kappa".',
        data="""
            20 5
            10 15
        """,
        expected="""
            cohen nominal 0.4 . . . 3
        """,
    ),
    Example(
        name="wikipedia_kappa_b",
        kind="table",
        source='Wikipedia, "Cohen\'s kappa".',
        data="""
            45 15
            25 15
        """,
        expected="""
            cohen nominal 0.1304 . . . 4
        """,
    ),
    Example(
        name="wikipedia_kappa_c",
        kind="table",
        source='Wikipedia, "Cohen\'s kappa".',
        data="""
            25 35
            5 35
        """,
        expected="""
            cohen nominal 0.2593 . . . 4
        """,
    ),
    Example(
        name="feinstein_a",
        kind="table",
        source="Feinstein and Cicchetti (1990), the paradox: 85 % agreement, balanced.",
        data="""
            40 9
            6 45
        """,
        expected="""
            cohen nominal 0.7 . . . 2
        """,
    ),
    Example(
        name="feinstein_b",
        kind="table",
        source="Feinstein and Cicchetti (1990), the paradox: 85 % agreement, unbalanced.",
        data="""
            80 10
            5 5
        """,
        expected="""
            cohen nominal 0.32 . . . 2
        """,
    ),
    Example(
        name="artstein_poesio",
        kind="table",
        source="Artstein and Poesio (2008), Computational Linguistics 34(4), tables 1-3.",
        data="""
            46 6 0
            0 32 0
            0 6 10
        """,
        expected="""
            scott nominal 0.79953 . . . 5
            S nominal 0.82 . . . 2
            cohen nominal 0.8013 . . . 4
        """,
    ),
    Example(
        name="gwet_4raters",
        kind="raw",
        source=GWET,
        data="""
            1 1 . 1
            2 2 3 2
            3 3 3 3
            3 3 3 3
            2 2 2 2
            1 2 3 4
            4 4 4 4
            1 1 2 1
            2 2 2 2
            . 5 5 5
            . . 1 1
            . . 3 .
        """,
        expected="""
            gwet:bp identity 0.773 0.145 0.454 1.0 3
            gwet:bp bipolar 0.888 0.112 0.641 1.0 3
            gwet:bp circular 0.824 0.137 0.522 1.0 3
            gwet:bp linear 0.848 0.123 0.577 1.0 3
            gwet:bp ordinal 0.886 0.114 0.636 1.0 3
            gwet:bp quadratic 0.902 0.111 0.657 1.0 3
            gwet:bp radical 0.813 0.133 0.52 1.0 3
            gwet:bp ratio 0.84 0.132 0.549 1.0 3
            gwet:conger identity 0.763 . 0.435 1.0 3
            gwet:conger bipolar 0.845 0.142 0.532 1.0 3
            gwet:conger circular 0.805 0.147 0.481 1.0 3
            gwet:conger linear 0.814 0.145 0.494 1.0 3
            gwet:conger ordinal 0.844 0.144 0.526 1.0 3
            gwet:conger quadratic 0.858 0.144 0.541 1.0 3
            gwet:conger radical 0.788 0.146 0.466 1.0 3
            gwet:conger ratio 0.812 0.149 0.485 1.0 3
            gwet:fleiss identity 0.761 . 0.424 1.0 3
            gwet:fleiss bipolar 0.853 0.145 0.535 1.0 3
            gwet:fleiss circular 0.807 0.149 0.479 1.0 3
            gwet:fleiss linear 0.818 0.149 0.491 1.0 3
            gwet:fleiss ordinal 0.85 0.147 0.527 1.0 3
            gwet:fleiss quadratic 0.865 0.146 0.544 1.0 3
            gwet:fleiss radical 0.79 0.15 0.46 1.0 3
            gwet:fleiss ratio 0.821 0.152 0.486 1.0 3
            gwet:gwet identity 0.775 0.143 0.461 1.0 3
            gwet:gwet bipolar 0.9 0.106 0.667 1.0 3
            gwet:gwet circular 0.83 0.133 0.538 1.0 3
            gwet:gwet linear 0.859 0.117 0.6 1.0 3
            gwet:gwet ordinal 0.899 0.107 0.664 1.0 3
            gwet:gwet quadratic 0.914 0.104 0.685 1.0 3
            gwet:gwet radical 0.82 0.128 0.537 1.0 3
            gwet:gwet ratio 0.857 0.122 0.589 1.0 3
            gwet:krippendorff identity 0.743 0.146 0.419 1.0 3
            gwet:krippendorff bipolar 0.835 0.128 0.549 1.0 3
            gwet:krippendorff circular 0.79 0.141 0.476 1.0 3
            gwet:krippendorff linear 0.8 0.135 0.499 1.0 3
            gwet:krippendorff ordinal 0.834 0.131 0.542 1.0 3
            gwet:krippendorff quadratic 0.849 0.129 0.561 1.0 3
            gwet:krippendorff radical 0.772 0.14 0.461 1.0 3
            gwet:krippendorff ratio 0.797 0.14 0.484 1.0 3
        """,
    ),
    Example(
        name="gwet_5observers",
        kind="raw",
        source=GWET,
        data="""
            1 1 2 . 2
            1 1 0 1 .
            2 3 3 3 .
            . 0 0 . 0
            0 0 0 . 0
            0 0 0 . 0
            1 0 2 . 1
            1 . 2 0 .
            2 2 2 . 2
            2 1 1 1 .
            . 1 0 0 .
            0 0 0 0 .
            1 2 2 2 .
            3 3 2 2 3
            1 1 1 . 1
        """,
        expected="""
            gwet:bp identity 0.487 0.121 0.228 0.747 3
            gwet:conger identity 0.469 0.117 0.219 0.719 3
            gwet:fleiss identity 0.458 0.12 0.199 0.716 3
            gwet:gwet identity 0.497 0.122 0.235 0.758 3
            gwet:krippendorff identity 0.481 0.114 0.237 0.724 3
        """,
    ),
    Example(
        name="gwet_g1g2",
        kind="raw",
        source=GWET,
        data="""
            a a . a
            b b c b
            c c c c
            c c c c
            b b b b
            a b c d
            d d d d
            a a b a
            b b b b
            . e e e
            . . a a
            . . c .
            b b c b
            b a c b
        """,
        expected="""
            gwet:bp identity 0.679 0.136 0.385 0.974 3
            gwet:conger identity 0.659 0.146 0.343 0.974 3
            gwet:fleiss identity 0.657 0.15 0.333 0.981 3
            gwet:gwet identity 0.685 0.134 0.396 0.973 3
            gwet:krippendorff identity 0.632 0.15 0.306 0.958 3
        """,
    ),
    Example(
        name="gwet_gender",
        kind="raw",
        source=GWET,
        data="""
            a a a c
            a a b c
            a a b c
            a a c c
            a b a a
            b a a a
            b b b b
            b c b b
            c c c c
            a a a c
            a a b c
            a a b c
            a a c c
            a b a a
            b a a a
        """,
        expected="""
            gwet:bp identity 0.183 0.102 -0.035 0.402 3
            gwet:conger identity 0.166 0.121 -0.094 0.426 3
            gwet:fleiss identity 0.129 0.141 -0.172 0.43 3
            gwet:gwet identity 0.208 0.091 0.014 0.403 3
            gwet:krippendorff identity 0.143 0.141 -0.158 0.445 3
        """,
    ),
    Example(
        name="gwet_ben_gerry",
        kind="raw",
        source=GWET,
        data="""
            a b
            a a
            b b
            b b
            d b
            c c
            c c
            c c
            e e
            d .
            d d
            a d
        """,
        expected="""
            gwet:bp identity 0.659 0.185 0.251 1.0 3
            gwet:conger identity 0.657 0.179 0.262 1.0 3
            gwet:fleiss identity 0.649 0.191 0.228 1.0 3
            gwet:gwet identity 0.661 0.184 0.257 1.0 3
            gwet:krippendorff identity 0.665 0.18 0.264 1.0 3
        """,
    ),
    Example(
        name="gwet_cont3x3abstractors",
        kind="table",
        source=GWET,
        data="""
            13 0 0
            0 20 7
            0 4 56
        """,
        expected="""
            gwet:bp identity 0.835 . 0.742 0.928 3
            gwet:bp bipolar 0.901 . 0.845 0.957 3
            gwet:bp circular 0.835 . 0.742 0.928 3
            gwet:bp linear 0.876 . 0.806 0.946 3
            gwet:bp ordinal 0.901 . 0.845 0.957 3
            gwet:bp quadratic 0.918 . 0.871 0.964 3
            gwet:bp radical 0.855 . 0.773 0.937 3
            gwet:bp ratio 0.951 . 0.923 0.978 3
            gwet:cohen identity 0.796 . 0.68 0.913 3
            gwet:cohen bipolar 0.872 . 0.791 0.953 3
            gwet:cohen circular 0.796 . 0.68 0.913 3
            gwet:cohen linear 0.843 . 0.748 0.938 3
            gwet:cohen ordinal 0.872 . 0.791 0.953 3
            gwet:cohen quadratic 0.892 . 0.822 0.962 3
            gwet:cohen radical 0.819 . 0.712 0.925 3
            gwet:cohen ratio 0.927 . 0.876 0.977 3
            gwet:gwet identity 0.849 . 0.764 0.935 3
            gwet:gwet bipolar 0.925 . 0.881 0.969 3
            gwet:gwet circular 0.849 . 0.764 0.935 3
            gwet:gwet linear 0.9 . 0.842 0.958 3
            gwet:gwet ordinal 0.925 . 0.881 0.969 3
            gwet:gwet quadratic 0.94 . 0.905 0.976 3
            gwet:gwet radical 0.875 . 0.804 0.947 3
            gwet:gwet ratio 0.963 . 0.942 0.985 3
            gwet:krippendorff identity 0.797 . 0.68 0.914 3
            gwet:krippendorff bipolar 0.873 . 0.792 0.953 3
            gwet:krippendorff circular 0.797 . 0.68 0.914 3
            gwet:krippendorff linear 0.844 . 0.748 0.939 3
            gwet:krippendorff ordinal 0.873 . 0.792 0.953 3
            gwet:krippendorff quadratic 0.893 . 0.822 0.963 3
            gwet:krippendorff radical 0.819 . 0.713 0.926 3
            gwet:krippendorff ratio 0.927 . 0.877 0.977 3
            gwet:scott identity 0.796 0.059 0.679 0.913 3
            gwet:scott bipolar 0.872 0.041 0.791 0.953 3
            gwet:scott circular 0.796 0.059 0.679 0.913 3
            gwet:scott linear 0.843 0.048 0.748 0.938 3
            gwet:scott ordinal 0.872 0.041 0.791 0.953 3
            gwet:scott quadratic 0.892 0.035 0.822 0.962 3
            gwet:scott radical 0.819 0.054 0.712 0.925 3
            gwet:scott ratio 0.927 0.025 0.876 0.977 3
        """,
    ),
    Example(
        name="gwet_cont4x4diagnosis",
        kind="table",
        source=GWET,
        data="""
            40 4 4 17
            6 25 2 13
            4 1 21 12
            15 5 9 45
        """,
        expected="""
            gwet:bp identity 0.45 0.044 0.363 0.537 3
            gwet:bp bipolar 0.264 0.075 0.115 0.412 3
            gwet:bp circular 0.471 0.047 0.379 0.563 3
            gwet:bp linear 0.347 0.06 0.229 0.465 3
            gwet:bp ordinal 0.273 0.076 0.123 0.422 3
            gwet:bp quadratic 0.236 0.085 0.069 0.403 3
            gwet:bp radical 0.401 0.05 0.303 0.5 3
            gwet:bp ratio 0.31 0.077 0.158 0.462 3
            gwet:cohen identity 0.432 0.046 0.341 0.522 3
            gwet:cohen bipolar 0.387 0.061 0.267 0.507 3
            gwet:cohen circular 0.446 0.049 0.35 0.542 3
            gwet:cohen linear 0.407 0.053 0.302 0.512 3
            gwet:cohen ordinal 0.39 0.062 0.269 0.512 3
            gwet:cohen quadratic 0.383 0.066 0.254 0.513 3
            gwet:cohen radical 0.419 0.048 0.324 0.515 3
            gwet:cohen ratio 0.413 0.063 0.288 0.538 3
            gwet:gwet identity 0.456 0.043 0.371 0.542 3
            gwet:gwet bipolar 0.315 0.068 0.181 0.45 3
            gwet:gwet circular 0.488 0.045 0.399 0.578 3
            gwet:gwet linear 0.377 0.056 0.267 0.488 3
            gwet:gwet ordinal 0.324 0.069 0.189 0.459 3
            gwet:gwet quadratic 0.299 0.075 0.15 0.447 3
            gwet:gwet radical 0.418 0.048 0.323 0.513 3
            gwet:gwet ratio 0.359 0.07 0.221 0.496 3
            gwet:scott identity 0.43 0.046 0.339 0.521 3
            gwet:scott bipolar 0.386 0.061 0.265 0.506 3
            gwet:scott circular 0.444 0.049 0.347 0.541 3
            gwet:scott linear 0.406 0.054 0.3 0.511 3
            gwet:scott ordinal 0.389 0.062 0.267 0.511 3
            gwet:scott quadratic 0.382 0.066 0.252 0.512 3
            gwet:scott radical 0.418 0.049 0.322 0.514 3
            gwet:scott ratio 0.412 0.063 0.287 0.538 3
        """,
    ),
]

# Dawid and Skene (1979), Applied Statistics 28, 20-28, doi 10.2307/2346806, section 4: 45 patients, five observers, of
# whom the first looked three times. A row a patient, a column an observer.
DAWID_SKENE_1979 = """
    111 1 1 1 1
    333 4 3 3 4
    112 2 1 2 2
    222 3 1 2 1
    222 3 2 2 2
    222 3 3 2 2
    122 2 1 1 1
    333 3 4 3 3
    222 2 2 2 3
    232 2 2 2 3
    444 4 4 4 4
    222 3 3 4 3
    111 1 1 1 1
    222 3 2 1 2
    121 1 1 1 1
    111 2 1 1 1
    111 1 1 1 1
    111 1 1 1 1
    222 2 2 2 1
    222 1 3 2 2
    222 2 2 2 2
    222 2 2 2 1
    222 3 2 2 2
    221 2 2 2 2
    111 1 1 1 1
    111 1 1 1 1
    232 2 2 2 2
    111 1 1 1 1
    111 1 1 1 1
    112 1 1 2 1
    111 1 1 1 1
    333 3 2 3 3
    111 1 1 1 1
    222 2 2 2 2
    222 3 2 3 2
    433 4 3 4 3
    221 2 2 3 2
    232 3 2 3 3
    333 3 4 3 2
    111 1 1 1 1
    111 1 1 1 1
    121 2 1 1 1
    232 2 2 2 2
    121 1 1 1 1
    222 2 2 2 2
"""
DAWID_SKENE_SHARES = (0.40, 0.42, 0.11, 0.07)
