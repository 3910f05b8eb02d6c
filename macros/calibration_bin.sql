{# The bin of a probability: ten of equal width, numbered from 1, each open below and closed above: 0.1 is in the first, and so is 0. It is
   ceil(10 p) in double precision, the same on every engine. #}
{% macro calibration_bin(probability) -%}
    cast(greatest(1, least({{ calibration_bin_count() }}, ceil({{ probability }} * {{ calibration_bin_count() }}))) as int64)
{%- endmacro %}
