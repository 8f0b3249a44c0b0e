"""Tables for the academic families: chemical elements, planets and polygons."""

from selfj.world.facts_table import pairs

# From well known to rare.
ELEMENTS = pairs("""
    hydrogen H, oxygen O, carbon C, nitrogen N, iron Fe, gold Au, silver Ag, helium He, calcium Ca, sodium Na,
    copper Cu, lead Pb, sulfur S, potassium K, chlorine Cl, iodine I, tin Sn, zinc Zn, mercury Hg, neon Ne,
    aluminum Al, lithium Li, phosphorus P, silicon Si, magnesium Mg, fluorine F, nickel Ni, uranium U,
    platinum Pt, argon Ar, titanium Ti, cobalt Co, boron B, bromine Br, barium Ba, beryllium Be, chromium Cr,
    manganese Mn, arsenic As, antimony Sb, tungsten W, radium Ra, radon Rn, krypton Kr, xenon Xe, vanadium V,
    gallium Ga, germanium Ge, selenium Se, cadmium Cd, palladium Pd, strontium Sr, bismuth Bi, cesium Cs,
    plutonium Pu, thorium Th, zirconium Zr, molybdenum Mo, rubidium Rb, yttrium Y, niobium Nb, rhodium Rh,
    iridium Ir, osmium Os, polonium Po, hafnium Hf, tantalum Ta, indium In, cerium Ce, samarium Sm
""")

PLANETS = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune")

POLYGONS = (
    ("triangle", 3),
    ("square", 4),
    ("rectangle", 4),
    ("pentagon", 5),
    ("hexagon", 6),
    ("octagon", 8),
    ("rhombus", 4),
    ("trapezoid", 4),
    ("decagon", 10),
    ("heptagon", 7),
    ("nonagon", 9),
    ("hendecagon", 11),
    ("dodecagon", 12),
)
