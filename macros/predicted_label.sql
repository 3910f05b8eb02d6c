{# The decision of a classifier, in the one place where it is taken. With a threshold (two classes):
   the positive label from the threshold on (inclusive), else the other class. Without one: the most
   probable class, of equal ones the first in `classes`.
   Null if the positive label is none of the classes: a fault that must show.
   Usage:
       {{ predicted_label('classes', 'probabilities', 'positive_label', 'decision_threshold') }} #}
{% macro predicted_label(classes, probabilities, positive_label, decision_threshold) -%}
    {%- set positive_position = array_position(classes, positive_label) -%}
    case
        when {{ decision_threshold }} is null
            then {{ array_item(classes, array_argmax(probabilities)) }}
        when {{ array_item(probabilities, positive_position) }} >= {{ decision_threshold }}
            then {{ positive_label }}
        else {{ array_item(classes, '(1 - ' ~ positive_position ~ ')') }}
    end
{%- endmacro %}
