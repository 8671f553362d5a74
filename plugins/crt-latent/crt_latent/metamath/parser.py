"""Mathematical answers as trees: a recursive-descent parser of LaTeX and of plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crt_latent.metamath.cursor import Cursor, Node
from crt_latent.metamath.numerals import number, numeral
from crt_latent.metamath.tokens import SEPARATORS, Token, Unread, commands
from crt_latent.metamath.units import SCALES

DEEPEST = 20
"""The most brackets, roots and powers inside each other."""
DEEPEST_TREE = 60
"""The most expressions inside each other."""
_SIGNS = ("+", "-", r"\pm", r"\mp")
_CURRENCIES = {r"\$": "dollar", "€": "euro", "£": "pound sterling", "¥": "yen"}
_CLOSING = {"(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_FUNCTIONS = commands("sin cos tan cot sec csc arcsin arccos arctan log ln exp")
_SYMBOLS = commands(
    "pi infty ldots alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho "
    "sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell triangle angle"
)
_ACCENTS = commands("overline bar vec hat widehat tilde overrightarrow")
_OPENING = commands("langle lfloor lceil frac sqrt binom") | {"(", "[", "{"} | _FUNCTIONS | _SYMBOLS | _ACCENTS
_RELATIONS = commands("le ge ne in") | {"=", "<", ">"}
_MATRICES = ("pmatrix", "bmatrix", "Bmatrix", "matrix", "smallmatrix", "vmatrix")


def parse(tokens: Sequence[Token]) -> Node:
    """Returns the tree of an answer.

    Raises: Unread if the tokens are no answer of a known form, or deeper than the limits.
    """
    parser = _Parser(tokens)
    tree = parser.members()
    level, depth = [tree], 0
    while level := [part for node in level for part in node.parts]:
        depth += 1
        if depth > DEEPEST_TREE:
            raise Unread
    if parser.at < len(parser.tokens):
        raise Unread
    return tree


class _Parser(Cursor):
    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__(tokens)
        self.depth, self.bars = 0, 0
        self.commands: dict[str, Callable[[], Node]] = {
            "{": self.group,
            "|": self.absolute,
            r"\frac": self.fraction,
            r"\binom": self.binomial,
            r"\sqrt": self.root,
            r"\begin": self.matrix,
            r"\varnothing": lambda: Node("set"),
        }

    # Members, relations and unions

    def members(self) -> Node:
        items = [self.relation()]
        while self.separator():
            items.append(self.relation())
        return Node("list", tuple(items)) if len(items) > 1 else items[0]

    def separator(self) -> bool:
        start = self.at
        self.take(",", ";")
        if self.next.kind == "word" and self.next.text.lower() in SEPARATORS:
            self.at += 1
        return self.at > start

    def relation(self) -> Node:
        sides, signs = [self.union()], list[str]()
        while self.next.text in _RELATIONS:
            signs.append(self.take(*_RELATIONS))
            sides.append(self.union())
        return Node("relation", tuple(sides), " ".join(signs)) if signs else sides[0]

    def union(self) -> Node:
        items = [self.ratio()]
        while self.take(r"\cup"):
            items.append(self.ratio())
        return Node("list", tuple(items)) if len(items) > 1 else items[0]

    def ratio(self) -> Node:
        items = [self.sum()]
        while self.take(":"):
            items.append(self.sum())
        return Node("ratio", tuple(items)) if len(items) > 1 else items[0]

    # Sums, products and powers

    def sum(self) -> Node:
        terms, name = [self.term()], self.take(*_CURRENCIES)
        while self.next.text in _SIGNS:
            terms.append(self.term())
        result = Node("sum", tuple(terms)) if len(terms) > 1 else terms[0]
        if self.next.kind == "word" and self.next.text.lower() not in SEPARATORS and result.kind != "words":
            name = self.words()
        if name == "percent":
            return Node("percent", (result,))
        if name in SCALES:
            return Node("product", (result, Node("number", text=str(SCALES[name]))))
        return Node("unit", (result,), _CURRENCIES.get(name, name)) if name else result

    def term(self) -> Node:
        signs = list[str]()
        name = ""
        while sign := self.take(*_SIGNS, *_CURRENCIES):
            name = sign if sign in _CURRENCIES else name
            signs += [sign] if sign in ("-", r"\pm", r"\mp") else []
        result = self.product()
        for sign in reversed(signs):
            result = Node(sign, (result,))
        return Node("unit", (result,), _CURRENCIES[name]) if name else result

    def product(self) -> Node:
        factors = [self.juxtaposed()]
        while sign := self.take("*", "/"):
            minus = self.take("-", "+") == "-"
            factor = self.juxtaposed()
            factor = Node("-", (factor,)) if minus else factor
            factors.append(Node("inverse", (factor,)) if sign == "/" else factor)
        return Node("product", tuple(factors)) if len(factors) > 1 else factors[0]

    def juxtaposed(self, *, of_function: bool = False) -> Node:
        """A product without signs; it binds tighter than `/`, as in Math-Verify and sympy."""
        factors = [self.power()]
        while self.next.text in _OPENING or self.next.kind in ("letter", "number") or self.opens_bars():
            if of_function and self.next.text in _FUNCTIONS:
                break
            if self.next.kind == "number" and self.tokens[self.at - 1].kind in ("number", "letter"):
                raise Unread
            factors.append(self.power())
        return Node("product", tuple(factors)) if len(factors) > 1 else factors[0]

    def power(self) -> Node:
        result = self.atom()
        while sign := self.take("^", "!", "%", "°", "'"):
            if sign == "^" and self.degree():
                sign = "°"
            if sign == "^":
                result = Node("power", (result, self.exponent()))
            else:
                result = {
                    "!": Node("factorial", (result,)),
                    "%": Node("percent", (result,)),
                    "°": Node("unit", (result,), "degree"),
                    "'": Node("symbol", (result,), "prime"),
                }[sign]
        return result

    def exponent(self) -> Node:
        minus = self.take("-", "+") == "-"
        result = self.atom(plain=True)
        return Node("-", (result,)) if minus else result

    # Atoms

    def atom(self, *, plain: bool = False) -> Node:
        """A number, a symbol, a function of something, or something in brackets; a `plain` number is one token."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unread
        token = self.next
        if token.kind == "number":
            result = number(self) if plain else numeral(self)
        elif token.kind == "word":
            result = self.words_or_symbol()
        elif token.kind == "letter":
            self.at += 1
            result = self.symbol(token.text)
        else:
            self.at += 1
            result = self.other(token.text)
        self.depth -= 1
        return result

    def argument(self) -> Node:
        """What a command takes: braces, one digit, or one symbol."""
        self.split_digits()
        return self.atom(plain=True)

    def words_or_symbol(self) -> Node:
        start = self.at
        while self.next.kind in ("word", "letter") and self.next.text.lower() not in SEPARATORS:
            self.at += 1
        texts = [token.text for token in self.tokens[start : self.at]]
        if len(texts) == 1 and len(texts[0]) == 1:
            return self.symbol(texts[0])
        if not texts:
            raise Unread
        return Node("words", text=" ".join(texts).lower())

    def symbol(self, name: str) -> Node:
        if self.take("_"):
            name = f"{name}_{self.raw()}"
        if name in ("f", "g", "h") and self.next.text == "(":
            return Node("function", (self.atom(),), name)
        return Node("symbol", text=name)

    def other(self, text: str) -> Node:
        if text in self.commands:
            return self.commands[text]()
        for names, read in (
            (_CLOSING, self.bracket),
            (_FUNCTIONS, self.function),
            (_SYMBOLS, self.symbol),
            (_ACCENTS, self.accent),
        ):
            if text in names:
                return read(text)
        raise Unread

    def accent(self, name: str) -> Node:
        return Node("symbol", text=f"{name} {self.raw()}")

    def absolute(self) -> Node:
        self.bars += 1
        inner = self.sum()
        self.need("|")
        self.bars -= 1
        return Node("absolute", (inner,))

    def fraction(self) -> Node:
        return Node("product", (self.argument(), Node("inverse", (self.argument(),))))

    def binomial(self) -> Node:
        return Node("binomial", (self.argument(), self.argument()))

    def root(self) -> Node:
        degree = Node("number", text="2")
        if self.take("["):
            degree = self.sum()
            self.need("]")
        return Node("root", (self.argument(), degree))

    def opens_bars(self) -> bool:
        return self.next.text == "|" and not self.bars

    def group(self) -> Node:
        result = self.members()
        if command := self.take(r"\over", r"\choose"):
            below = self.members()
            parts = (result, below) if command == r"\choose" else (result, Node("inverse", (below,)))
            result = Node("binomial" if command == r"\choose" else "product", parts)
        self.need("}")
        return result

    def function(self, name: str) -> Node:
        base: tuple[Node, ...] = ()
        if name == r"\log" and self.take("_"):
            base = (self.argument(),)
        power = (self.exponent(),) if self.take("^") else ()
        if any(part.kind == "-" for part in power):
            raise Unread  # an inverse function or a reciprocal
        result = Node("function", (self.juxtaposed(of_function=True), *base), name)
        return Node("power", (result, *power)) if power else result

    def bracket(self, opening: str) -> Node:
        if opening == r"\{" and self.take(r"\}"):
            return Node("set")
        bars, self.bars = self.bars, 0
        self.spaced.append(self.has_spaced_comma())
        inner = self.members()
        self.spaced.pop()
        self.bars = bars
        closing = self.need(*{"(": (")", "]"), "[": (")", "]")}.get(opening, (_CLOSING[opening],)))
        if opening == r"\{":
            return Node("set", inner.parts if inner.kind == "list" else (inner,))
        if opening in (r"\lfloor", r"\lceil"):
            return Node("function", (inner,), opening)
        if inner.kind == "list":
            return Node("tuple", inner.parts, opening + closing)
        if opening + closing not in ("()", "[]"):
            raise Unread
        return inner

    def matrix(self) -> Node:
        name = self.raw()
        if name not in _MATRICES:
            raise Unread
        rows = [[self.sum()]]
        while sign := self.take("&", "\\\\"):
            if sign == "&":
                rows[-1].append(self.sum())
            elif self.next.text != r"\end":
                rows.append([self.sum()])
        self.need(r"\end")
        if self.raw() != name:
            raise Unread
        kind = "determinant" if name == "vmatrix" else "matrix"
        return Node("tuple", tuple(Node("tuple", tuple(row), "row") for row in rows), kind)
